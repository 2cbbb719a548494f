//! JSON to messages by their schema: what is refused and where, and how much is too much.

use transcode::{Error, ParseError, Schema, Scratch};

const MESSAGE: &str = "discord.v1.Message";

fn parse(json: &[u8]) -> Result<Vec<u8>, ParseError> {
    let schema = Schema::new(wire::descriptors());
    let shape = schema.shape(MESSAGE).unwrap();
    let mut scratch = Scratch::default();
    schema.parse(shape, json, &mut scratch).map(<[u8]>::to_vec)
}

#[test]
fn places() {
    let malformed = |at| Error::Malformed { at };
    let duplicate = |at| Error::Duplicate { at };
    for (json, path, error) in [
        ("", "", malformed(0)),
        (" ", "", malformed(1)),
        ("{", "", malformed(1)),
        ("null", "", Error::NotObject),
        ("[{\"id\":\"1\"}]", "", Error::NotObject),
        ("[1", "[0]", malformed(2)),
        ("{}x", "", malformed(2)),
        (r#"{"content":tru}"#, "content", malformed(11)),
        (r#"{"content" "c"}"#, "content", malformed(11)),
        (r#"{"content":"c""#, "content", malformed(14)),
        (r#"{"content":"c",}"#, "", malformed(15)),
        (
            r#"{"new":{"x":[0,1,{"y":-}]}}"#,
            "new.x[2].y",
            malformed(23),
        ),
        (
            r#"{"embeds":[{},{"fields":[{"value":01}]}]}"#,
            "embeds[1].fields[0].value",
            malformed(34),
        ),
        (
            r#"{"embeds":[{},{"fields":[{"value":"\x"}]}]}"#,
            "embeds[1].fields[0].value",
            malformed(36),
        ),
        (
            r#"{"id":"1","author":{"id":"2"},"id":"3"}"#,
            "id",
            duplicate(30),
        ),
        (
            r#"{"embeds":[{"title":"t","\u0074itle":"t"}]}"#,
            "embeds[0].?",
            duplicate(24),
        ),
        (r#"{"a key of nobody":{"b":nul}}"#, "?.b", malformed(24)),
    ] {
        let path = path.to_owned();
        assert_eq!(
            parse(json.as_bytes()),
            Err(ParseError { path, error }),
            "{json}"
        );
    }
    let error = parse(br#"{"embeds":[{"title":"t","title":"t"}]}"#).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`embeds[0].title`: a member is repeated at byte 24"
    );
}

#[test]
fn no_utf8() {
    for (json, path, at) in [
        (b"{\"content\":\"a\xffb\"}".as_slice(), "content", 13),
        (b"\xff{}", "", 0),
        (b"{\"embeds\":[{\"ti\xfftle\":1}]}", "embeds[0].?", 15),
        (b"{\"embeds\":[{\"title\":\"\xc3", "embeds[0].title", 21),
    ] {
        let (path, error) = (path.to_owned(), Error::NotUtf8 { at });
        assert_eq!(
            parse(json),
            Err(ParseError { path, error }),
            "{}",
            json.escape_ascii()
        );
    }
}

#[test]
fn too_deep() {
    for member in ["x", "nonce", "referenced_message"] {
        let text = format!("{{\"{member}\":{}", "[".repeat(100_000));
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(matches!(error.error, Error::Deep { .. }), "{error}");
        let path = format!("{member}{}", "[0]".repeat(126));
        assert_eq!(error.path, path);
    }
}

/// A message takes no more memory than some times its text, whatever the text is.
#[test]
fn large() {
    let count = 1 << 16;
    for (member, element) in [
        ("x", "1"),
        ("embeds", "{}"),
        ("mention_roles", "\"1\""),
        ("nonce", "0"),
        ("embeds", "{\"x\":null}"),
        ("embeds", "{\"fields\":[]}"),
    ] {
        for end in ["]", ",5]", ""] {
            let elements = vec![element; count].join(",");
            let text = format!("{{\"{member}\":[{elements}{end}}}");
            let parsed = parse(text.as_bytes());
            assert_eq!(parsed.is_ok(), !end.is_empty(), "{member} {element} {end}");
            // A number takes two bytes with its comma, and eleven as a value of any type.
            let most = text.len() * 6;
            assert!(parsed.is_err() || parsed.is_ok_and(|bytes| bytes.len() < most));
        }
    }
    // Members that nobody knows, and members of one object that come again and again.
    let members: Vec<String> = (0..count)
        .map(|index| format!("\"m{index}\":{{}}"))
        .collect();
    assert!(parse(format!("{{{}}}", members.join(",")).as_bytes()).is_ok());
    let members = vec!["\"x\":[]"; count].join(",");
    assert!(parse(format!("{{{members}}}").as_bytes()).is_ok());
    let keys = vec!["\"1\":{}"; count].join(",");
    let text = format!("{{\"resolved\":{{\"users\":{{{keys}}}}}}}");
    assert!(parse(text.as_bytes()).is_ok());
}
