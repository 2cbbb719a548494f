//! Which of Discord's operations a request is, for the metrics. The descriptors know too, but who sends requests as
//! they are should not have to carry these in memory.

use discord::route::Method;

/// What is none of them.
const OTHER: &str = "other";

/// The names of all operations, by method and path.
#[derive(Debug, Default)]
pub(crate) struct Names {
    nodes: Vec<Node>,
}

/// What can follow a part of a path.
#[derive(Debug, Default)]
struct Node {
    /// Few, so they are looked through.
    texts: Vec<(Box<str>, usize)>,
    value: Option<usize>,
    names: Vec<(&'static str, &'static str)>,
}

impl Names {
    /// The names of all operations of the contract.
    pub(crate) fn new() -> Self {
        let mut names = Self {
            nodes: vec![Node::default()],
        };
        for line in wire::rest::OPERATIONS.lines() {
            let mut words = line.split(' ');
            let (Some(method), Some(path), Some(name)) = (words.next(), words.next(), words.next())
            else {
                continue;
            };
            let mut at = 0;
            for segment in path.split('/').skip(1) {
                at = names.follow(at, segment);
            }
            names.nodes[at].names.push((method, name));
        }
        names
    }

    /// The node behind a segment of a template; made if there is none.
    fn follow(&mut self, at: usize, segment: &str) -> usize {
        let next = self.nodes.len();
        let node = &mut self.nodes[at];
        let found = if segment.starts_with('{') {
            *node.value.get_or_insert(next)
        } else {
            let found = node.text(segment).unwrap_or(next);
            if found == next {
                node.texts.push((segment.into(), next));
            }
            found
        };
        if found == next {
            self.nodes.push(Node::default());
        }
        found
    }

    /// The operation's name.
    pub(crate) fn find(&self, method: Method, path: &str) -> &'static str {
        let path = path.strip_prefix('/');
        let name = self.search(0, path, method.name());
        name.unwrap_or(OTHER)
    }

    /// Text before values, as `/messages/pins` is no message.
    fn search(&self, at: usize, path: Option<&str>, method: &str) -> Option<&'static str> {
        let node = self.nodes.get(at)?;
        let Some(path) = path else {
            let mut names = node.names.iter();
            return names.find(|(it, _)| *it == method).map(|(_, name)| *name);
        };
        let (first, rest) = match path.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let text = node.text(first);
        text.and_then(|next| self.search(next, rest, method))
            .or_else(|| self.search(node.value?, rest, method))
    }
}

impl Node {
    /// What follows this text.
    fn text(&self, segment: &str) -> Option<usize> {
        let mut texts = self.texts.iter();
        texts
            .find(|(text, _)| **text == *segment)
            .map(|(_, next)| *next)
    }
}

#[cfg(test)]
mod tests {
    use super::Names;
    use discord::route::Method;
    use rest::Operations;

    #[test]
    fn every_operation_is_found_by_its_path() {
        let operations = Operations::new();
        let names = Names::new();
        for operation in operations.all() {
            let path = operation.template();
            let path: Vec<&str> = path
                .split('/')
                .map(|it| if it.starts_with('{') { "123" } else { it })
                .collect();
            let method = Method::parse(operation.method()).unwrap();
            assert_eq!(names.find(method, &path.join("/")), operation.name());
        }
    }

    #[test]
    fn what_is_no_operation_has_one_name() {
        let names = Names::new();
        for path in [
            "/",
            "/never/heard/of",
            "/channels",
            "/channels/1/messages/2/3",
        ] {
            assert_eq!(names.find(Method::Get, path), "other", "{path}");
        }
        assert_eq!(names.find(Method::Delete, "/gateway"), "other");
        let pins = names.find(Method::Get, "/channels/1/messages/pins");
        assert_eq!(pins, "ListPins");
    }
}
