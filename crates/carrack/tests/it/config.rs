//! Settings from files, and what is said about them.

use crate::support::{Server, carrack, run};

#[test]
fn the_reference_page_is_the_one_checked_in() {
    let page = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/reference/settings.md"
    );
    let checked_in = std::fs::read_to_string(page).unwrap();
    assert!(
        run(&["config", "reference"]).ok() == checked_in,
        "write it anew: carrack config reference > docs/reference/settings.md"
    );
}

#[test]
fn a_server_starts_from_the_sample() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carrack.toml");
    let data = folder.path().join("data");
    let mut text = run(&["config", "sample"]).ok();
    text.push_str("listen = ['127.0.0.1:0']\n");
    std::fs::write(&file, text).unwrap();
    Server::start_with(&data, &["--config", file.to_str().unwrap()]).stop();
}

#[test]
fn an_unknown_setting_is_refused_with_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("carrack.toml");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "liste = ['127.0.0.1:0']\n").unwrap();
    let error = run(&["server", "--config", path]).fails(2);
    assert_eq!(
        error,
        format!(
            "error: settings file `{path}` sets `liste`, which is no setting; did you mean \
             `listen`?\n"
        )
    );
    let error = run(&["server", "--config", "/nowhere/carrack.toml"]).fails(2);
    assert!(
        error.contains("read settings file `/nowhere/carrack.toml`"),
        "{error}"
    );
}

#[test]
fn a_setting_may_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = carrack(&["server", "--data"]);
    command
        .arg(folder.path().join("data"))
        .env("CARRACK_LISTEN", "127.0.0.1:0,127.0.0.1:0");
    let server = Server::spawn(command);
    assert_eq!(server.addresses().len(), 2);
    let output = carrack(&["server"])
        .env("CARRACK_RETENTION_HOURS", "0")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("CARRACK_RETENTION_HOURS"), "{error}");
}
