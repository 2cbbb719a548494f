//! What is left of an interaction, and that it is what the route is made of.

use std::{fs, path::Path};

use prost::Message as _;

use super::essence;
use crate::{
    discord::v1::{Interaction, InteractionData, Message},
    gateway::v1::{Event, event::Data},
    routing::InteractionRoute,
};

/// The interactions that are pinned.
fn golden() -> Vec<(String, Interaction)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden");
    let files = fs::read_dir(folder).unwrap().map(|it| it.unwrap().path());
    let mut found = Vec::new();
    for path in files {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("INTERACTION_CREATE") || name.ends_with("json") {
            continue;
        }
        let event = Event::decode(fs::read(&path).unwrap().as_slice()).unwrap();
        if let Some(Data::InteractionCreate(interaction)) = event.data {
            found.push((name, *interaction));
        }
    }
    found
}

#[test]
fn all_that_is_asked_of_it_is_left() {
    let all = golden();
    assert!(all.len() > 3, "there are {}", all.len());
    for (name, whole) in all {
        let left = essence(&whole.encode_to_vec()).unwrap();
        assert_eq!(left.id, whole.id, "{name}");
        assert_eq!(left.application_id, whole.application_id, "{name}");
        assert_eq!(left.r#type, whole.r#type, "{name}");
        assert_eq!(left.token, whole.token, "{name}");
        assert_eq!(left.message.is_some(), whole.message.is_some(), "{name}");
        let route = InteractionRoute::of(&whole);
        assert_eq!(InteractionRoute::of(&left), route, "{name}");
        assert!(left.member.is_none() && left.guild.is_none(), "{name}");
    }
}

#[test]
fn an_interaction_without_data_has_none() {
    let mut whole = Interaction {
        id: Some(5),
        ..Interaction::default()
    };
    assert_eq!(essence(&whole.encode_to_vec()).unwrap(), whole);
    whole.data = Some(InteractionData::default());
    whole.message = Some(Message::default().into());
    assert_eq!(essence(&whole.encode_to_vec()).unwrap(), whole);
}

#[test]
fn what_is_no_interaction_is_refused() {
    // A length beyond the end, in it and in its data.
    for bytes in [&[0x3a, 0x05, 1][..], &[0x22, 0x02, 0x12, 0x09], &[0xff]] {
        assert!(essence(bytes).is_err(), "{bytes:?}");
    }
}
