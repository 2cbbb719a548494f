//! The page about the services: what workers can ask for.

use prost_reflect::{MethodDescriptor, ServiceDescriptor};

use crate::comments::Comments;
use crate::markdown::{anchor, link, table};
use crate::objects::prose;
use crate::pages::{link_to, relative};

const PAGE: &str = "services.md";

const REST_PAGE: &str = "rest.md";

const REST_HEAD: &str = "# Discord's HTTP API

The operations of Discord's HTTP API, each as a method of one service. What holds for all services stands in
[Services](services.md).

`gateway-api` carries them out: `gateway/api/README.md` says what becomes of a request.
";

const HEAD: &str = "# Services

What a worker can ask this system to do. A request is one message on the topic exchange
`discord.requests` (`<prefix>.requests`):

| part | value |
|---|---|
| routing key | given with each service below |
| body | the request message, as protobuf |
| `type` | full name of the method, given with each method below |
| `reply_to`, `correlation_id` | as usual in AMQP; without `reply_to` nothing is answered |
| `expiration` | how long the caller waits, in milliseconds |
| header `deadline` | the moment up to which the caller waits, in milliseconds since 1970; with both, the earlier one counts |
| `priority` | 0 to 9; higher first, where requests queue |

This version has `gateway-ws`, which carries out the service `ws`, and `gateway-api`, which carries out `api`,
`interactions` and `rest`. What is sent to a service that does not run is returned by RabbitMQ as
unroutable, if it was published as mandatory. A field of a request that the
service does not know is refused, because it would not do what the caller wants.

The reply has the reply message as its body and that message's name in `type`.
";

/// The page.
pub(super) fn page(comments: &Comments) -> String {
    let error = wire::descriptors()
        .get_message_by_name("gateway.v1.Error")
        .expect("errors are part of the contract");
    let mut page = format!(
        "{HEAD}A failure has `type = gateway.v1.Error` and {} as its body. A method that streams sends \
         several replies; the last has the header `end = true`.\n\n",
        link_to(PAGE, &error.parent_file(), error.name())
    );
    let services = services();
    let rows: Vec<[String; 2]> = services
        .iter()
        .map(|service| {
            let methods: Vec<String> = service.methods().map(|it| method_link(&it)).collect();
            let methods = match is_rest(service) {
                true => link(
                    &format!("{} operations of Discord's", methods.len()),
                    REST_PAGE,
                ),
                false => methods.join(", "),
            };
            let name = link(
                &format!("`{}`", service.name()),
                &format!(
                    "{}#{}",
                    relative(PAGE, page_of(service)),
                    anchor(service.name())
                ),
            );
            [name, methods]
        })
        .collect();
    page += &table(["service", "methods"], &rows);
    for service in services.iter().filter(|it| !is_rest(it)) {
        page += &service_section(service, comments);
    }
    page
}

/// The page of the service that has all operations of Discord's.
pub(super) fn rest_page(comments: &Comments) -> String {
    let rest = wire::rest::service();
    format!("{REST_HEAD}{}", service_section(&rest, comments))
}

/// The page that describes a service.
pub(super) fn page_of(service: &ServiceDescriptor) -> &'static str {
    if is_rest(service) { REST_PAGE } else { PAGE }
}

fn is_rest(service: &ServiceDescriptor) -> bool {
    *service == wire::rest::service()
}

/// All services, by name.
pub(super) fn services() -> Vec<ServiceDescriptor> {
    let mut services: Vec<ServiceDescriptor> = wire::rest::descriptors().services().collect();
    services.sort_by(|a, b| a.name().cmp(b.name()));
    services
}

fn service_section(service: &ServiceDescriptor, comments: &Comments) -> String {
    let comment = comments.of(service.full_name());
    let mut section = format!("\n## {}\n\n{}", service.name(), prose(comment));
    let key = comment
        .paragraphs
        .iter()
        .flat_map(|it| it.split('`'))
        .find(|code| code.contains(".<Method>."))
        .unwrap_or_else(|| panic!("{}: the comment gives no routing key", service.full_name()));
    for method in service.methods() {
        section += &method_section(&method, key, comments);
    }
    section
}

fn method_section(method: &MethodDescriptor, key: &str, comments: &Comments) -> String {
    let message = |it: &prost_reflect::MessageDescriptor| match it.package_name() {
        "google.protobuf" => format!("`{}`", it.full_name()),
        _ => link_to(PAGE, &it.parent_file(), it.name()),
    };
    let reply = match method.is_server_streaming() {
        true => format!("{}, several", message(&method.output())),
        false => message(&method.output()),
    };
    let row = |name: &str, value: String| [name.to_owned(), value];
    let service = method.parent_service();
    let key = format!("`{}`", key.replace("<Method>", method.name()));
    let mut rows = vec![
        row("routing key", key),
        row(
            "`type`",
            format!("`{}/{}`", service.full_name(), method.name()),
        ),
        row("request", message(&method.input())),
        row("reply", reply),
    ];
    rows.extend(operation(method).map(|it| row("at Discord", it)));
    format!(
        "\n### {}\n\n{}\n{}",
        heading(method),
        prose(comments.of(method.full_name())),
        table(["", ""], &rows)
    )
}

/// A link to a method on the page at hand.
fn method_link(method: &MethodDescriptor) -> String {
    let target = format!("#{}", anchor(&heading(method)));
    link(&format!("`{}`", method.name()), &target)
}

/// What a method is at Discord: `GET /users/@me`. Nothing, if it is none of Discord's operations.
fn operation(method: &MethodDescriptor) -> Option<String> {
    let option = wire::rest::descriptors().get_extension_by_name("google.api.http")?;
    let options = method.options();
    let rule = options
        .has_extension(&option)
        .then(|| options.get_extension(&option))?;
    let rule = rule.as_message()?;
    let verb = ["get", "put", "post", "delete", "patch"]
        .into_iter()
        .find(|verb| rule.has_field_by_name(verb))?;
    let path = rule.get_field_by_name(verb)?;
    Some(format!("`{} {}`", verb.to_uppercase(), path.as_str()?))
}

/// A method's heading: those of two services may have the same name.
fn heading(method: &MethodDescriptor) -> String {
    format!("{}.{}", method.parent_service().name(), method.name())
}
