//! Which names may stand where in the file, and what may be meant by others.

use super::{
    file::{Table, Value},
    key::Key,
    services::{SERVICES, Service},
    suggest::nearest,
};

/// The names that a service knows: its own, and those that are for other services. What it passes over
/// is known by name alone; the value is not its to judge, and nor are the tables of the others.
pub(super) struct Names<'k> {
    pub(super) keys: &'k [Key],
    /// The name of the service's own table.
    pub(super) service: &'k str,
}

/// A name that has no business where it stands: its path, its line and what is wrong.
pub(super) type Stranger = (String, usize, String);

/// What kind of table is looked at.
#[derive(Clone, Copy)]
struct Level {
    /// The array that it is a table of, if it is one.
    list: Option<&'static str>,
    /// Whether it is, or is within, the service's own table.
    own: bool,
}

impl Names<'_> {
    /// The names in the file that are not known, in the order of their names.
    pub(super) fn strangers(&self, top: &Table) -> Vec<Stranger> {
        let level = Level {
            list: None,
            own: false,
        };
        let mut strangers = Vec::new();
        self.look(top, "", level, &mut strangers);
        strangers
    }

    fn look(&self, table: &Table, path: &str, level: Level, strangers: &mut Vec<Stranger>) {
        let known = self.known(level);
        for (name, entry) in &table.entries {
            let path = format!("{path}{name}");
            let list = self.lists(level).find(|list| list == name);
            let problem = match (&entry.value, list) {
                _ if known.contains(name) => continue,
                (Value::Tables(tables), Some(list)) => {
                    for (index, table) in tables.iter().enumerate() {
                        let list = Some(list);
                        let path = format!("{path}[{index}].");
                        self.look(table, &path, Level { list, ..level }, strangers);
                    }
                    continue;
                }
                (Value::List(items), Some(_)) if items.is_empty() => {
                    format!("is empty; write [[{path}]] once for each, or leave it out")
                }
                (_, Some(_)) => format!("is no array of tables; write [[{path}]] once for each"),
                (Value::Table(table), None) if !level.own && name == self.service => {
                    let own = Level { own: true, ..level };
                    self.look(table, &format!("{path}."), own, strangers);
                    continue;
                }
                (Value::Table(_), None) if !level.own && self.other(name).is_some() => continue,
                (Value::Table(_) | Value::Tables(_), None) => format!(
                    "is not a known table; tables have the names of services, such as [ws]; {}",
                    self.hint(name, level, &known)
                ),
                _ => format!("is not a known key; {}", self.hint(name, level, &known)),
            };
            strangers.push((path, entry.line, problem));
        }
    }

    /// The keys that may stand in a table of this kind, or in one of its arrays.
    fn keys(&self, level: Level) -> impl Iterator<Item = &Key> {
        let others = self.others().filter(move |_| !level.own);
        self.keys
            .iter()
            .chain(others.flat_map(|service| service.keys))
    }

    /// The names of keys that may stand in a table of this kind.
    fn known(&self, level: Level) -> Vec<String> {
        self.keys(level)
            .filter_map(|key| Some((key, level.name(key)?)))
            .flat_map(|(key, name)| {
                let file = key.secret.then(|| format!("{name}_file"));
                [Some(name), file].into_iter().flatten()
            })
            .collect()
    }

    /// The names of the arrays of tables that may stand in a table of this kind.
    fn lists(&self, level: Level) -> impl Iterator<Item = &'static str> {
        let keys = self.keys(level).filter(move |_| level.list.is_none());
        keys.filter_map(|key| Some(key.each?.list))
    }

    /// What may be meant.
    fn hint(&self, name: &str, level: Level, known: &[String]) -> String {
        let has = |service: &&Service| {
            let mut keys = service.keys.iter();
            keys.any(|key| level.name(key).as_deref() == Some(name))
        };
        if let Some(owner) = self.others().find(has) {
            return format!("it is one of gateway-{}", owner.name);
        }
        let namesake = self.keys(level).find_map(|key| {
            let each = key.each?;
            match level.list {
                None if each.name == name => Some(key.toml_name()),
                Some(list) if each.list == list && key.toml_name() == name => {
                    Some(each.name.to_owned())
                }
                _ => None,
            }
        });
        let candidates = || {
            let lists = self.lists(level).map(str::to_owned);
            known.iter().cloned().chain(lists)
        };
        if let Some(meant) = namesake.or_else(|| nearest(name, candidates())) {
            return format!("did you mean {meant}?");
        }
        let prefix = name.split_once('_').map(|(prefix, _)| prefix);
        match prefix.and_then(|prefix| self.other(prefix)) {
            Some(Service { name, keys: [] }) => {
                format!("what is for gateway-{name} alone stands in the table [{name}]")
            }
            Some(Service { name, .. }) => format!("gateway-{name} --help lists its keys"),
            None => "--help lists all keys".to_owned(),
        }
    }

    /// The other service that is called so.
    fn other(&self, name: &str) -> Option<&'static Service> {
        self.others().find(|service| service.name == name)
    }

    /// The services that this one is not.
    fn others(&self) -> impl Iterator<Item = &'static Service> {
        let others = SERVICES.iter();
        others.filter(|service| service.name != self.service)
    }
}

impl Level {
    /// What the key is called in a table of this kind, if it may stand there.
    fn name(self, key: &Key) -> Option<String> {
        match self.list {
            None => Some(key.toml_name()),
            Some(list) => {
                let each = key.each.filter(|each| each.list == list)?;
                Some(each.name.to_owned())
            }
        }
    }
}
