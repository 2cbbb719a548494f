//! Lists against a Discord that is a sorted set of ids.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::{Order, Pages, Wish};

const NOTHING: Wish = Wish {
    before: None,
    after: None,
    around: None,
    limit: 0,
    page_size: 0,
};

/// What Discord answers: a page next to the cursor, in its own order.
fn answer(all: &BTreeSet<u64>, parameters: &[(&str, u64)], is_newest_first: bool) -> Vec<u64> {
    let find = |name| parameters.iter().find(|it| it.0 == name).map(|it| it.1);
    let limit = find("limit").unwrap() as usize;
    let mut page: Vec<u64> = match (find("before"), find("after")) {
        (None, Some(after)) => all.range(after + 1..).take(limit).copied().collect(),
        (Some(before), None) => all.range(..before).rev().take(limit).copied().collect(),
        (None, None) if is_newest_first => all.iter().rev().take(limit).copied().collect(),
        (None, None) => all.iter().take(limit).copied().collect(),
        (Some(_), Some(_)) => panic!("Discord takes one of both"),
    };
    page.sort_unstable();
    if is_newest_first {
        page.reverse();
    }
    page
}

/// The whole list, and how many pages it took.
fn list(all: &BTreeSet<u64>, order: Order, most: u32, wish: &Wish) -> (Vec<u64>, usize) {
    let mut pages = Pages::new(order, most, wish).unwrap();
    let (mut listed, mut count) = (Vec::new(), 0);
    loop {
        let ids = answer(all, &pages.parameters(), order == Order::Down);
        assert!(ids.len() <= most as usize);
        let page = pages.take(&ids);
        count += 1;
        listed.extend(page.places.iter().map(|&place| ids[place]));
        if page.is_last {
            return (listed, count);
        }
    }
}

#[test]
fn a_list_goes_from_page_to_page_to_its_end() {
    let all: BTreeSet<u64> = (1..=250).collect();
    let (listed, count) = list(&all, Order::Up, 100, &NOTHING);
    assert_eq!((listed, count), ((1..=250).collect(), 3));
    let (listed, _) = list(&all, Order::Down, 100, &NOTHING);
    assert_eq!(listed, (1..=250).rev().collect::<Vec<_>>());
    let full = (1..=200).collect();
    let (listed, count) = list(&full, Order::Up, 100, &NOTHING);
    assert_eq!((listed.len(), count), (200, 3), "the last page is empty");
    assert_eq!(list(&BTreeSet::new(), Order::Up, 100, &NOTHING).1, 1);
}

#[test]
fn the_bounds_say_which_way_it_goes() {
    let all: BTreeSet<u64> = (1..=50).collect();
    let wish = |before, after, limit| Wish {
        before,
        after,
        limit,
        page_size: 7,
        ..NOTHING
    };
    for (order, wish, expected) in [
        (Order::Down, wish(None, Some(40), 0), vec![41, 50]),
        (Order::Up, wish(Some(11), None, 0), vec![10, 1]),
        (Order::Down, wish(Some(31), Some(10), 0), vec![30, 11]),
        (Order::Up, wish(Some(31), Some(10), 0), vec![11, 30]),
        (Order::Up, wish(Some(31), Some(10), 8), vec![11, 18]),
        (Order::Down, wish(None, None, 1), vec![50, 50]),
        (Order::Up, wish(None, Some(50), 0), vec![]),
    ] {
        let (listed, _) = list(&all, order, 100, &wish);
        let ends = listed.first().into_iter().chain(listed.last());
        assert_eq!(ends.copied().collect::<Vec<_>>(), expected, "{wish:?}");
    }
}

#[test]
fn around_is_one_page() {
    let wish = Wish {
        around: Some(20),
        ..NOTHING
    };
    let mut pages = Pages::new(Order::Down, 100, &wish).unwrap();
    assert_eq!(pages.parameters(), [("limit", 50), ("around", 20)]);
    let page = pages.take(&[19, 21, 20]);
    assert_eq!((page.places, page.is_last), (vec![1, 2, 0], true));
}

#[test]
fn what_discord_would_refuse_is_refused_with_the_fields_name() {
    let refusal = |wish: Wish| Pages::new(Order::Down, 100, &wish).unwrap_err();
    let around = Wish {
        around: Some(1),
        ..NOTHING
    };
    for (wish, field) in [
        (
            Wish {
                page_size: 101,
                ..NOTHING
            },
            "page_size",
        ),
        (
            Wish {
                before: Some(5),
                ..around
            },
            "around",
        ),
        (
            Wish {
                after: Some(5),
                ..around
            },
            "around",
        ),
        (
            Wish {
                limit: 101,
                ..around
            },
            "limit",
        ),
    ] {
        assert_eq!(refusal(wish).0, field, "{wish:?}");
    }
}

proptest! {
    /// Whatever the bounds: each object once, none beside them, in order.
    #[test]
    fn every_object_is_listed_once(
        all in prop::collection::btree_set(0_u64..500, 0..200),
        before in prop::option::of(0_u64..500),
        after in prop::option::of(0_u64..500),
        limit in 0_u32..250,
        page_size in 0_u32..=40,
        is_down in any::<bool>(),
    ) {
        let order = if is_down { Order::Down } else { Order::Up };
        let wish = Wish { before, after, around: None, limit, page_size };
        let mut expected: Vec<u64> = all
            .iter()
            .copied()
            .filter(|id| before.is_none_or(|it| *id < it) && after.is_none_or(|it| *id > it))
            .collect();
        let goes_down = match (before, after) {
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => is_down,
        };
        if goes_down {
            expected.reverse();
        }
        if limit > 0 {
            expected.truncate(limit as usize);
        }
        prop_assert_eq!(list(&all, order, 40, &wish).0, expected);
    }

    /// Whatever Discord sends: a list of finite ids ends, and repeats nothing.
    #[test]
    fn a_list_ends_whatever_comes(pages_sent in prop::collection::vec(
        prop::collection::vec(0_u64..60, 0..12), 1..100,
    )) {
        let wish = Wish { page_size: 10, ..NOTHING };
        let mut pages = Pages::new(Order::Up, 100, &wish).unwrap();
        let mut listed = Vec::new();
        for ids in pages_sent.iter().cycle() {
            let page = pages.take(ids);
            listed.extend(page.places.iter().map(|&place| ids[place]));
            if page.is_last {
                break;
            }
        }
        prop_assert!(listed.is_sorted_by(|a, b| a < b), "{:?}", listed);
    }
}
