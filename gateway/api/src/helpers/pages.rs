//! Which page of a list comes next, and what of it belongs to the list: pure.

/// The way that a list goes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// From high ids to low ones, that is from new to old.
    Down,
    /// From low ids to high ones.
    Up,
}

/// What a caller wants of a list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wish {
    /// Only lower ids.
    pub(super) before: Option<u64>,
    /// Only higher ids.
    pub(super) after: Option<u64>,
    /// This id and those around it, in one page.
    pub(super) around: Option<u64>,
    /// How many at most; 0: all.
    pub(super) limit: u32,
    /// How many in a page at most; 0: as many as Discord gives.
    pub(super) page_size: u32,
}

/// The field of a wish that is wrong, and why.
type Mistake = (&'static str, String);

/// How far a list is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Pages {
    order: Order,
    /// The last id that was listed, or the one to begin behind.
    last: Option<u64>,
    /// The id to end before.
    end: Option<u64>,
    around: Option<u64>,
    /// How many more are wanted.
    left: Option<usize>,
    size: usize,
}

/// What of a page belongs to the list.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Page {
    /// Places of the objects in what Discord sent, in the list's order.
    pub(super) places: Vec<usize>,
    /// Whether there is nothing more to ask for.
    pub(super) is_last: bool,
}

impl Pages {
    /// A list that goes in this order, if nothing else follows from the wish, and of which Discord gives so
    /// many in a page at most.
    pub(super) fn new(order: Order, most: u32, wish: &Wish) -> Result<Self, Mistake> {
        if wish.page_size > most {
            let why = format!("Discord gives {most} in a page at most");
            return Err(("page_size", why));
        }
        if wish.around.is_some() && (wish.before.is_some() || wish.after.is_some()) {
            let why = "it cannot stand beside `before` or `after`";
            return Err(("around", why.to_owned()));
        }
        if wish.around.is_some() && wish.limit > most {
            let why = format!("with `around` there is one page, of {most} at most");
            return Err(("limit", why));
        }
        let order = match (wish.before, wish.after) {
            (Some(_), None) => Order::Down,
            (None, Some(_)) => Order::Up,
            _ => order,
        };
        let (last, end) = match order {
            Order::Down => (wish.before, wish.after),
            Order::Up => (wish.after, wish.before),
        };
        let limit = match (wish.around, wish.limit) {
            (Some(_), 0) => 50.min(most),
            (_, limit) => limit,
        };
        let size = match wish.page_size {
            0 => most,
            size => size,
        };
        Ok(Self {
            order,
            last,
            end,
            around: wish.around,
            left: (limit > 0).then_some(limit as usize),
            size: if wish.around.is_some() { most } else { size } as usize,
        })
    }

    /// The parameters that ask for the next page.
    pub(super) fn parameters(&self) -> Vec<(&'static str, u64)> {
        let mut parameters = vec![("limit", self.asked() as u64)];
        let name = match self.order {
            Order::Down => "before",
            Order::Up => "after",
        };
        parameters.extend(self.last.map(|last| (name, last)));
        parameters.extend(self.around.map(|around| ("around", around)));
        parameters
    }

    /// Takes a page with objects of these ids, in whatever order, and moves on behind it.
    pub(super) fn take(&mut self, ids: &[u64]) -> Page {
        let mut places: Vec<usize> = (0..ids.len())
            .filter(|&place| self.goes_on(ids[place]) && !self.is_over(ids[place]))
            .collect();
        places.sort_by_key(|&place| ids[place]);
        places.dedup_by_key(|place| ids[*place]);
        if self.order == Order::Down {
            places.reverse();
        }
        let is_over = ids.iter().any(|&id| self.is_over(id));
        let is_full = ids.len() >= self.asked();
        places.truncate(self.left.unwrap_or(usize::MAX));
        self.left = self.left.map(|left| left - places.len());
        // Each page leads on, or is the last one: so a list ends whatever Discord sends.
        let is_last = is_over || !is_full || places.is_empty() || self.left == Some(0);
        self.last = places.last().map(|&place| ids[place]).or(self.last);
        Page {
            places,
            is_last: is_last || self.around.is_some(),
        }
    }

    /// How many to ask for.
    fn asked(&self) -> usize {
        self.left.map_or(self.size, |left| left.min(self.size))
    }

    /// Whether the id comes behind all that was listed.
    fn goes_on(&self, id: u64) -> bool {
        match (self.order, self.last) {
            (_, None) => true,
            (Order::Down, Some(last)) => id < last,
            (Order::Up, Some(last)) => id > last,
        }
    }

    /// Whether the id lies where the list has ended.
    fn is_over(&self, id: u64) -> bool {
        match (self.order, self.end) {
            (_, None) => false,
            (Order::Down, Some(end)) => id <= end,
            (Order::Up, Some(end)) => id >= end,
        }
    }
}

#[cfg(test)]
mod tests;
