//! What Discord says when it refuses an address.

use broker::CallError;
use serde_json::Value;

/// Discord's words, if it is Discord that refused the change itself.
pub(crate) fn words(error: &CallError) -> Option<String> {
    let CallError::Failed(failure) = error else {
        return None;
    };
    let discord = failure.discord.as_ref()?;
    if discord.status != 400 {
        return None;
    }
    let body: Value = serde_json::from_str(&discord.body).unwrap_or_default();
    let mut words = Vec::new();
    collect("", &body["errors"], &mut words);
    match words.is_empty() {
        true => Some(failure.message.clone()),
        false => Some(words.join("; ")),
    }
}

/// The messages of all fields, with the fields' paths.
fn collect(path: &str, errors: &Value, words: &mut Vec<String>) {
    let Some(members) = errors.as_object() else {
        return;
    };
    for (name, inner) in members {
        if name != "_errors" {
            let dot = if path.is_empty() { "" } else { "." };
            collect(&format!("{path}{dot}{name}"), inner, words);
            continue;
        }
        for error in inner.as_array().into_iter().flatten() {
            let message = error["message"].as_str().unwrap_or_default();
            words.push(format!("`{path}`: {message}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use broker::CallError;
    use wire::gateway::v1::{DiscordError, Error};

    use super::words;

    fn refused(status: u32, body: &str) -> CallError {
        CallError::Failed(Box::new(Error {
            message: "Discord said no".to_owned(),
            discord: Some(DiscordError {
                status,
                code: 50_035,
                body: body.to_owned(),
            }),
            ..Error::default()
        }))
    }

    #[test]
    fn they_are_those_of_the_fields() {
        let body = r#"{"code":50035,"message":"Invalid Form Body","errors":{"interactions_endpoint_url":{"_errors":[
            {"code":"X","message":"could not be verified."}]},"a":{"0":{"_errors":[{"message":"no"}]}}}}"#;
        let said = "`a.0`: no; `interactions_endpoint_url`: could not be verified.";
        assert_eq!(words(&refused(400, body)).as_deref(), Some(said));
        assert_eq!(
            words(&refused(400, "{")).as_deref(),
            Some("Discord said no")
        );
        assert_eq!(words(&refused(401, body)), None);
        assert_eq!(words(&CallError::Away), None);
    }
}
