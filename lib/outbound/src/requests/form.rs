//! Bodies of type `multipart/form-data`.
//!
//! See [Discord Docs/Uploading Files](https://docs.discord.com/developers/reference#uploading-files).

use super::Errand;
use crate::{Call, Failure};
use http::{HeaderValue, header::CONTENT_TYPE};
use rest::Part;

impl Errand {
    /// Makes a form of these fields and files the body, with what the files' addresses hold.
    ///
    /// # Errors
    /// When a file cannot be read, has no name, or all is too large together.
    pub async fn form(
        &self,
        call: Call,
        fields: &[(String, String)],
        mut files: Vec<Part>,
    ) -> Result<Call, Failure> {
        let limit = self.gateway.largest_body();
        let reader = self.gateway.files();
        reader.fill(&mut files, limit, self.deadline).await?;
        call.with_form(fields, &files, limit)
    }
}

impl Call {
    /// Makes a form of these fields and files the body.
    fn with_form(
        mut self,
        fields: &[(String, String)],
        files: &[Part],
        limit: usize,
    ) -> Result<Self, Failure> {
        let of_fields = fields.iter().map(|(name, value)| name.len() + value.len());
        let of_files = files.iter().map(|file| file.data.len());
        let bytes: usize = of_fields.chain(of_files).sum();
        if bytes > limit {
            let what = "the request's body";
            return Err(Failure::TooLarge { what, bytes, limit });
        }
        // At random, so that no content can have it in it.
        let boundary = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let mut form = Vec::with_capacity(bytes + 256 * (fields.len() + files.len() + 1));
        for (name, value) in fields {
            let kind = (name == "payload_json").then_some("application/json");
            part(&mut form, &boundary, name, None, kind, value.as_bytes());
        }
        for file in files {
            let kind = Some(file.content_type.as_str()).filter(|kind| !kind.is_empty());
            if file.filename.is_empty() {
                let field = format!("{}: filename", file.name);
                return Err(Failure::invalid(
                    field,
                    "Discord takes no file without a name",
                ));
            }
            if kind.is_some_and(|kind| HeaderValue::from_str(kind).is_err()) {
                let field = format!("{}: content_type", file.name);
                return Err(Failure::invalid(field, "it is no media type"));
            }
            let filename = Some(file.filename.as_str());
            part(&mut form, &boundary, &file.name, filename, kind, &file.data);
        }
        form.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
        let kind = format!("multipart/form-data; boundary={boundary}");
        let kind = HeaderValue::try_from(kind).map_err(|_| Failure::invalid("form", "no type"))?;
        self.headers.insert(CONTENT_TYPE, kind);
        self.body = form.into();
        Ok(self)
    }
}

fn part(
    form: &mut Vec<u8>,
    boundary: &str,
    name: &str,
    filename: Option<&str>,
    kind: Option<&str>,
    data: &[u8],
) {
    let name = quoted(name);
    let filename = filename.map(|name| format!("; filename=\"{}\"", quoted(name)));
    let filename = filename.unwrap_or_default();
    let kind = kind.map(|kind| format!("Content-Type: {kind}\r\n"));
    let kind = kind.unwrap_or_default();
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n{kind}\r\n"
    );
    form.extend_from_slice(head.as_bytes());
    form.extend_from_slice(data);
    form.extend_from_slice(b"\r\n");
}

/// A name as browsers write it: it cannot end its quotes or its line.
fn quoted(name: &str) -> String {
    name.replace('"', "%22")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}
