//! What the operator can say of traces, in OpenTelemetry's own words.

use reqwest::{
    Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};

use super::collector::Protocol;
use crate::config::{Invalid, Key, Parse, Reader};

const ENDPOINT: Key = Key::new(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "The OpenTelemetry collector that traces are sent to, for example http://localhost:4318, or with \
     grpc http://localhost:4317; none are made when it is not set",
);
const PROTOCOL: Key = Key::new(
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "How the collector is spoken to: http/protobuf or grpc",
)
.with_default("http/protobuf");
const HEADERS: Key = Key::new(
    "OTEL_EXPORTER_OTLP_HEADERS",
    "Headers for the collector, such as those with its key: name=value, separated by commas",
)
.secret();
const SAMPLER: Key = Key::new(
    "OTEL_TRACES_SAMPLER",
    "Which events are traced: always_on, always_off or traceidratio; also with parentbased_ in \
     front, as an event from Discord has no parent",
)
.with_default("parentbased_traceidratio");
const SAMPLER_ARG: Key = Key::new(
    "OTEL_TRACES_SAMPLER_ARG",
    "The share of events that traceidratio traces, from 0 to 1",
)
.with_default("0.01");
const SERVICE_NAME: Key = Key::new(
    "OTEL_SERVICE_NAME",
    "What traces call the service [default: its own name, such as gateway-ws]",
);
const RESOURCE_ATTRIBUTES: Key = Key::new(
    "OTEL_RESOURCE_ATTRIBUTES",
    "What else traces say of this process: name=value, separated by commas",
);
const DISABLED: Key =
    Key::new("OTEL_SDK_DISABLED", "Whether no traces are made").with_default("false");

/// The keys that [`Settings::read`] reads.
pub(crate) const KEYS: &[Key] = &[
    ENDPOINT,
    PROTOCOL,
    HEADERS,
    SAMPLER,
    SAMPLER_ARG,
    SERVICE_NAME,
    RESOURCE_ATTRIBUTES,
    DISABLED,
];

/// Which traces are made, and where they go.
pub(crate) struct Settings {
    /// Where traces are taken.
    pub(super) endpoint: Url,
    pub(super) protocol: Protocol,
    pub(super) headers: HeaderMap,
    /// How many of all events, from 0 to 1.
    pub(super) ratio: f64,
    pub(super) service_name: Option<String>,
    pub(super) attributes: Vec<(String, String)>,
}

impl Settings {
    /// Reads [`KEYS`]; mistakes stay with the reader. The inner `None`: there are no traces.
    pub(crate) fn read(reader: &mut Reader) -> Option<Option<Self>> {
        let endpoint = reader.optional::<Endpoint>(&ENDPOINT);
        let protocol = reader.or_default::<Protocol>(&PROTOCOL);
        let headers = reader.optional::<Vec<Pair>>(&HEADERS).unwrap_or_default();
        let headers = read_headers(reader, headers);
        let sampler = reader.or_default::<Sampler>(&SAMPLER);
        let share = reader.in_range(&SAMPLER_ARG, 0.0..=1.0);
        let service_name = reader.optional(&SERVICE_NAME);
        let attributes = reader.optional::<Vec<Pair>>(&RESOURCE_ATTRIBUTES);
        let disabled = reader.or_default::<bool>(&DISABLED)?;
        let (protocol, headers, share) = (protocol?, headers?, share?);
        let ratio = match sampler? {
            Sampler::AlwaysOff => 0.0,
            Sampler::AlwaysOn => 1.0,
            Sampler::Ratio => share,
        };
        let Some(endpoint) = endpoint.filter(|_| !disabled && ratio > 0.0) else {
            return Some(None);
        };
        let pairs = attributes.unwrap_or_default().into_iter();
        Some(Some(Self {
            endpoint: endpoint.behind(protocol),
            protocol,
            headers,
            ratio,
            service_name,
            attributes: pairs.map(|Pair(name, value)| (name, value)).collect(),
        }))
    }
}

fn read_headers(reader: &mut Reader, pairs: Vec<Pair>) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for Pair(name, value) in pairs {
        let name = HeaderName::try_from(name).ok();
        let value = HeaderValue::try_from(value).ok();
        let Some((name, mut value)) = name.zip(value) else {
            reader.mistake(&HEADERS, "holds what cannot be an HTTP header");
            return None;
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Some(headers)
}

/// The base URL of a collector.
struct Endpoint(Url);

impl Endpoint {
    /// Where it takes traces.
    fn behind(mut self, protocol: Protocol) -> Url {
        let base = self.0.path().trim_end_matches('/');
        let path = format!("{base}{}", protocol.path());
        self.0.set_path(&path);
        self.0
    }
}

impl Parse for Endpoint {
    fn expected() -> String {
        "an http or https URL, for example http://localhost:4318".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let url = Url::parse(text).map_err(Invalid::because)?;
        match (url.scheme(), url.has_host()) {
            ("http" | "https", true) => Ok(Self(url)),
            _ => Err(Invalid::new()),
        }
    }
}

impl Parse for Protocol {
    fn expected() -> String {
        "http/protobuf (port 4318 of most collectors) or grpc (port 4317)".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text {
            "grpc" => Ok(Self::Grpc),
            "http/protobuf" => Ok(Self::HttpProtobuf),
            _ => Err(Invalid::new()),
        }
    }
}

enum Sampler {
    AlwaysOff,
    AlwaysOn,
    Ratio,
}

impl Parse for Sampler {
    fn expected() -> String {
        "always_on, always_off or traceidratio, with or without parentbased_ in front".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        match text.strip_prefix("parentbased_").unwrap_or(text) {
            "always_off" => Ok(Self::AlwaysOff),
            "always_on" => Ok(Self::AlwaysOn),
            "traceidratio" => Ok(Self::Ratio),
            _ => Err(Invalid::new()),
        }
    }
}

/// A name and a value, percent-encoded as OpenTelemetry has it.
#[derive(Debug, PartialEq)]
struct Pair(String, String);

impl Parse for Pair {
    fn expected() -> String {
        "name=value, with % and two digits for what is special".to_owned()
    }

    fn parse(text: &str) -> Result<Self, Invalid> {
        let (name, value) = text.split_once('=').ok_or_else(Invalid::new)?;
        match (decode(name.trim()), decode(value.trim())) {
            (Some(name), Some(value)) if !name.is_empty() => Ok(Self(name, value)),
            _ => Err(Invalid::new()),
        }
    }
}

/// The text that stands behind percent-encoded bytes.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.get(..2).filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after.get(2..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SET: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/");

    fn read(environment: &[(&str, &str)]) -> Result<Option<Settings>, String> {
        let pairs = environment.iter();
        let pairs = pairs.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut reader = Reader::new(&[KEYS], pairs, None);
        let settings = Settings::read(&mut reader);
        let result = reader.finish(settings);
        result.map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn without_an_endpoint_there_are_no_traces() {
        assert!(read(&[]).unwrap().is_none());
        assert!(
            read(&[("OTEL_TRACES_SAMPLER", "always_on")])
                .unwrap()
                .is_none()
        );
        assert!(
            read(&[SET, ("OTEL_SDK_DISABLED", "true")])
                .unwrap()
                .is_none()
        );
        assert!(
            read(&[SET, ("OTEL_TRACES_SAMPLER", "always_off")])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn every_key_is_read() {
        let settings = read(&[SET]).unwrap().unwrap();
        assert_eq!(
            settings.endpoint.as_str(),
            "http://collector:4318/v1/traces"
        );
        assert!((settings.ratio - 0.01).abs() < 1e-9);
        let grpc = read(&[SET, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]);
        assert_eq!(
            grpc.unwrap().unwrap().endpoint.path(),
            "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
        );
        let settings = read(&[
            SET,
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=geheim%2C42, x=1"),
            ("OTEL_TRACES_SAMPLER", "always_on"),
            ("OTEL_SERVICE_NAME", "music"),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=a%20b",
            ),
        ]);
        let settings = settings.unwrap().unwrap();
        assert_eq!(settings.headers["api-key"], "geheim,42");
        assert!(settings.headers["api-key"].is_sensitive());
        assert!(settings.ratio >= 1.0);
        assert_eq!(settings.service_name.as_deref(), Some("music"));
        let (name, value) = &settings.attributes[0];
        assert_eq!(
            (name.as_str(), value.as_str()),
            ("deployment.environment.name", "a b")
        );
    }

    #[test]
    fn mistakes_are_told_and_headers_are_not() {
        for (key, value) in [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "geheim42"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "key=geheim42%zz"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a key=geheim42"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
            ("OTEL_RESOURCE_ATTRIBUTES", "production"),
            ("OTEL_SDK_DISABLED", "perhaps"),
        ] {
            let mistakes = read(&[(key, value)]).err().unwrap();
            assert!(mistakes.starts_with(key), "{mistakes}");
            assert!(!mistakes.contains("geheim"), "{mistakes}");
        }
    }
}
