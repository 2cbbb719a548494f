//! Commands that answer, fail, talk without end, and do not end.

use std::{fs, time::Duration};

use super::*;

const PATIENCE: Duration = Duration::from_secs(30);

fn shell(script: &str) -> Vec<String> {
    // The query is "$1".
    ["sh", "-c", script, "resolver", QUERY]
        .map(str::to_owned)
        .to_vec()
}

async fn ask(script: &str, query: &str) -> Result<Resolved, Error> {
    resolve(&shell(script), query, PATIENCE).await
}

#[tokio::test]
async fn the_query_is_one_argument_whatever_is_in_it() {
    for query in ["a b", "$(id)", "`id`; exit 1", "'\"", "a;b|c>d", "*"] {
        let resolved = ask(r#"printf 'Title\n%s\n' "$#: $1""#, query)
            .await
            .unwrap();
        assert_eq!(resolved.url, format!("1: {query}"));
        assert_eq!(resolved.title.as_deref(), Some("Title"));
    }
    let within = ["echo", "search:{query}"].map(str::to_owned);
    let resolved = resolve(&within, "x y", PATIENCE).await.unwrap();
    let (url, title) = ("search:x y".to_owned(), None);
    assert_eq!(resolved, Resolved { url, title });
}

#[tokio::test]
async fn a_query_cannot_be_an_option() {
    for query in [
        "-x",
        "--exec=id",
        "  -x",
        "",
        "   ",
        "a\nb",
        &"x".repeat(1001),
    ] {
        let error = ask("echo x", query).await.unwrap_err();
        assert!(matches!(error, Error::Query(_)), "{query:?}: {error}");
    }
}

#[tokio::test]
async fn the_environment_is_empty() {
    let resolved = ask("/usr/bin/env | sort | tr '\\n' ' '", "x")
        .await
        .unwrap();
    let names: Vec<&str> = resolved
        .url
        .split(' ')
        .filter_map(|it| it.split('=').next())
        .collect();
    for name in names {
        // The last three are the shell's own.
        assert!(
            ["PATH", "LANG", "PWD", "SHLVL", "_"].contains(&name),
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_fails_says_why() {
    let error = ask("echo WARNING >&2; echo 'ERROR: no video' >&2; exit 1", "x").await;
    assert_eq!(error, Err(Error::Unresolved("ERROR: no video".to_owned())));
    let error = ask("exit 0", "x").await.unwrap_err();
    assert_eq!(error.code(), wire::gateway::v1::Code::NotFound);
    let error = resolve(&["/nowhere".to_owned()], "x", PATIENCE).await;
    assert!(matches!(error, Err(Error::Resolver(_))), "{error:?}");
    assert_eq!(resolve(&[], "x", PATIENCE).await, Err(Error::ResolverOff));
    let error = ask("yes", "x").await.unwrap_err();
    assert!(error.to_string().contains("65536 bytes"), "{error}");
}

#[tokio::test]
async fn nothing_of_it_is_left_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    // A child of its own, which holds its output open.
    let script = format!(
        "sleep 600 & echo $! > {}.new; mv {0}.new {0}; wait",
        file.display()
    );
    let limit = Duration::from_millis(500);
    let error = resolve(&shell(&script), "x", limit).await;
    assert_eq!(error, Err(Error::ResolverLate(limit)));
    let id = fs::read_to_string(&file).unwrap();
    let process = format!("/proc/{}/stat", id.trim());
    let is_over = || {
        let stat = fs::read_to_string(&process).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
    };
    time::timeout(PATIENCE, async {
        while !is_over() {
            time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .unwrap();
}
