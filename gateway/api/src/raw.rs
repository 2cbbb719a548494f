//! `api.Call`: any request to Discord's HTTP API, as it is.

use crate::{Answer, Call, Failure, Token};
use broker::Request;
use discord::route::Method;
use http::{HeaderMap, HeaderName, HeaderValue, header::CONTENT_TYPE};
use outbound::{Errand, Response, is_ours, query};
use rest::{Part, percent};
use serde::de::IgnoredAny;
use std::collections::HashMap;
use wire::gateway::v1::{CallRequest, CallResponse, File, Form, call_request::Body};

/// The header with the reason for the audit log.
const REASON: &str = "x-audit-log-reason";

/// How long such a reason may be, in characters.
const LONGEST_REASON: usize = 512;

/// Sends what the body of a request for `api.Call` says.
pub(crate) async fn call(errand: &Errand, request: &Request) -> Result<Response, Failure> {
    let asked = request.decode::<CallRequest>();
    let asked = asked.map_err(|failure| Failure::invalid("body", failure.message))?;
    let answer = errand.send(read(errand, asked).await?).await?;
    Ok(Response::new(&response(&answer)))
}

async fn read(errand: &Errand, request: CallRequest) -> Result<Call, Failure> {
    let method = Method::parse(&request.method).ok_or_else(|| {
        let why = format!(
            "{:?} is none of DELETE, GET, PATCH, POST and PUT",
            request.method
        );
        Failure::invalid("method", why)
    })?;
    let mut call = errand.call(method, request.path);
    let parameters = request.query.iter();
    call.query = query(parameters.map(|it| (it.name.as_str(), it.value.as_str())));
    if let Some(place) = request.query.iter().position(|it| it.name.is_empty()) {
        return Err(Failure::invalid(
            format!("query[{place}].name"),
            "it is empty",
        ));
    }
    headers(&mut call.headers, &request.headers)?;
    reason(&mut call.headers, &request.audit_log_reason)?;
    call.token = token(request.bearer_token)?;
    body(errand, call, request.body, request.files).await
}

async fn body(
    errand: &Errand,
    mut call: Call,
    body: Option<Body>,
    files: Vec<File>,
) -> Result<Call, Failure> {
    match body {
        Some(Body::Json(json)) => {
            serde_json::from_str::<IgnoredAny>(&json)
                .map_err(|error| Failure::invalid("json", format!("it is no JSON: {error}")))?;
            if files.is_empty() {
                call.body = json.into();
                let kind = HeaderValue::from_static("application/json");
                call.headers.insert(CONTENT_TYPE, kind);
                return Ok(call);
            }
            let fields = [("payload_json".to_owned(), json)];
            errand.form(call, &fields, parts(files, &[])?).await
        }
        Some(Body::Form(Form { fields, file_parts })) => {
            let fields = fields.into_iter().map(|it| (it.name, it.value));
            let fields: Vec<(String, String)> = fields.collect();
            if let Some(place) = fields.iter().position(|(name, _)| name.is_empty()) {
                let field = format!("form.fields[{place}].name");
                return Err(Failure::invalid(field, "it is empty"));
            }
            errand.form(call, &fields, parts(files, &file_parts)?).await
        }
        Some(Body::Raw(_)) if !files.is_empty() => {
            let why = "a raw body has no place for files: use json or form";
            Err(Failure::invalid("files", why))
        }
        Some(Body::Raw(raw)) => {
            let kind = HeaderValue::try_from(&raw.content_type).ok();
            let kind = kind
                .filter(|kind| !kind.is_empty())
                .ok_or_else(|| Failure::invalid("raw.content_type", "it is no media type"))?;
            call.headers.insert(CONTENT_TYPE, kind);
            call.body = raw.data.into();
            Ok(call)
        }
        None if files.is_empty() => Ok(call),
        None => errand.form(call, &[], parts(files, &[])?).await,
    }
}

/// Files as the parts of a form.
fn parts(files: Vec<File>, names: &[String]) -> Result<Vec<Part>, Failure> {
    if names.len() > files.len() {
        let why = format!("it has {} names for {} files", names.len(), files.len());
        return Err(Failure::invalid("form.file_parts", why));
    }
    let parts = files.into_iter().enumerate().map(|(place, file)| Part {
        name: names
            .get(place)
            .cloned()
            .unwrap_or_else(|| format!("files[{place}]")),
        filename: file.filename,
        content_type: file.content_type,
        data: file.data,
        url: file.url,
    });
    Ok(parts.collect())
}

/// Headers of the caller's own.
fn headers(headers: &mut HeaderMap, own: &HashMap<String, String>) -> Result<(), Failure> {
    for (name, value) in own {
        let field = || format!("headers[{name:?}]");
        let parsed = HeaderName::try_from(name)
            .map_err(|_| Failure::invalid(field(), "a header cannot be called so"))?;
        if is_ours(&parsed) || parsed == CONTENT_TYPE {
            return Err(Failure::invalid(
                field(),
                "this header is not the caller's to set",
            ));
        }
        let value = HeaderValue::try_from(value).map_err(|_| {
            Failure::invalid(
                field(),
                "a header cannot have line breaks or control characters",
            )
        })?;
        headers.insert(parsed, value);
    }
    Ok(())
}

/// The reason for the audit log, as the header that Discord wants.
///
/// See [Discord Docs/Audit Log](https://docs.discord.com/developers/resources/audit-log).
pub(crate) fn reason(headers: &mut HeaderMap, reason: &str) -> Result<(), Failure> {
    if reason.is_empty() {
        return Ok(());
    }
    let field = "audit_log_reason";
    let length = reason.chars().count();
    if length > LONGEST_REASON {
        let why = format!("it has {length} characters, and may have {LONGEST_REASON}");
        return Err(Failure::invalid(field, why));
    }
    if headers.contains_key(REASON) {
        let why = "it stands among the headers, too: set only one";
        return Err(Failure::invalid(field, why));
    }
    let value = HeaderValue::try_from(percent::encode(reason));
    let value = value.map_err(|_| Failure::invalid(field, "it cannot be encoded"))?;
    headers.insert(REASON, value);
    Ok(())
}

fn token(bearer: String) -> Result<Token, Failure> {
    if bearer.is_empty() {
        return Ok(Token::Application);
    }
    if !bearer.bytes().all(|byte| byte.is_ascii_graphic()) {
        let why = "it is no access token; without \"Bearer \" in front";
        return Err(Failure::invalid("bearer_token", why));
    }
    Ok(Token::Bearer(bearer.into()))
}

fn response(answer: &Answer) -> CallResponse {
    let mut headers: HashMap<String, String> = HashMap::new();
    for (name, value) in &answer.headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| *all = format!("{all}, {value}"))
            .or_insert_with(|| value.into_owned());
    }
    CallResponse {
        status: answer.status.as_u16().into(),
        headers,
        body: answer.body.to_vec(),
    }
}
