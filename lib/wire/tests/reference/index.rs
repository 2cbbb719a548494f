//! The first page: what there is, and how to read it.

use crate::markdown::{anchor, link, table};
use crate::pages::{GATEWAY, files, link_to, page_of, title};
use crate::services::{page_of as page_of_service, services};

const PAGE: &str = "README.md";

const HEAD: &str = "# Reference

Everything that travels between this system and the workers of a bot. It is written from the `.proto`
files in `proto/`, which are the contract: a worker needs them, and a login for RabbitMQ.

";

const OBJECTS: &str = "
## How Discord's objects are written

The messages of `discord.v1` are Discord's own objects, with the names that Discord gives to their members.
What a member is in JSON follows from its type:

| type | in JSON |
|---|---|
| `fixed64` | a snowflake: decimal digits in a string |
| `uint64` | other large numbers in strings, such as permissions |
| `int32`, `uint32`, `int64`, enums | a whole number |
| `double`, `bool`, `string` | the same |
| `Timestamp` | ISO 8601 in a string |
| `Value` | anything |
| message, repeated, map | object, array, object with ids or names as keys |

Every field can be absent: then Discord did not send the member, or sent null. Enums are open: a number that
the contract does not know yet stays what it is. Where Discord has several shapes of one object, as of
channels and components, there is one message with the fields of all.

Nothing that Discord sends is lost. What the fields cannot hold stands beside them, in three fields that
every object has:

| number | field | |
|---|---|---|
| 1000 | `unknown_json` | a JSON object of the members that the contract does not know, or does not hold exactly as they came |
| 1001 | `nulls` | numbers of the fields that came as null |
| 1002 | `empties` | numbers of the fields that came as an empty array or map |

Messages that end in `Params` or `Request` are written by workers, for Discord. They have the same three fields, and
`nulls` and `empties` are a `google.protobuf.FieldMask` of names there: a name in `nulls` sets that member to
null, where leaving the field out would leave it alone.

";

/// The page.
pub(super) fn page() -> String {
    let (events, own) = (wire::event::events().len(), wire::event::own().len());
    let pages = [
        [
            link("Events", "events.md"),
            format!(
                "what Discord tells: {events} events with payload, intents and routing keys; and {own} of \
                 this system's own"
            ),
        ],
        [
            link("Services", "services.md"),
            format!("what a worker can ask for: {}", services_list()),
        ],
        [
            link("What this system adds", GATEWAY),
            "the envelope of events, the messages of the services, errors".to_owned(),
        ],
    ];
    let head = ["area", "messages and enums"];
    [
        HEAD.to_owned(),
        table(["page", ""], &pages),
        OBJECTS.to_owned(),
        "## Discord's objects by area\n\n".to_owned(),
        table(head, &areas("discord.v1")),
        "\n## What this system adds, by area\n\n".to_owned(),
        table(head, &areas("gateway.v1")),
    ]
    .concat()
}

fn services_list() -> String {
    let links = services().into_iter().map(|service| {
        let target = format!("{}#{}", page_of_service(&service), anchor(service.name()));
        link(&format!("`{}`", service.name()), &target)
    });
    links.collect::<Vec<_>>().join(", ")
}

/// The areas of a package, each with all that is in it.
fn areas(package: &str) -> Vec<[String; 2]> {
    let areas = files(package).into_iter().map(|file| {
        let messages = file.messages().map(|it| it.name().to_owned());
        let enums = file.enums().map(|it| it.name().to_owned());
        let names = messages.chain(enums);
        let links: Vec<String> = names.map(|name| link_to(PAGE, &file, &name)).collect();
        [link(&title(&file), &page_of(&file)), links.join(", ")]
    });
    areas.collect()
}
