//! Metadata in a real etcd: the suite of the trait, leases in real time, and what becomes of
//! watches and changes when etcd goes away, comes back, or forgets.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::executor::block_on;
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use store::meta::{
    EtcdMetadata, EtcdOptions, EtcdTls, Expected, MetadataError, MetadataStore, Revision,
};
use tokio::runtime::Runtime;

use crate::{
    etcd_process::Etcd,
    meta_suite::{awaited, common, listed, set, value},
    support::RealClock,
};

/// Connections need a runtime that runs beside the test's thread.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

fn open_at(endpoints: Vec<String>, prefix: &str) -> Arc<EtcdMetadata> {
    open_with(endpoints, prefix, None).unwrap()
}

fn open_with(
    endpoints: Vec<String>,
    prefix: &str,
    tls: Option<EtcdTls>,
) -> Result<Arc<EtcdMetadata>, MetadataError> {
    let options = EtcdOptions {
        endpoints,
        prefix: prefix.to_owned(),
        tls,
        request_time_max: Duration::from_secs(5),
    };
    EtcdMetadata::open(options, RealClock::new())
}

fn open(etcd: &Etcd) -> Arc<EtcdMetadata> {
    open_at(vec![etcd.endpoint()], "test/")
}

#[test]
fn etcd_passes_the_suite_and_clusters_do_not_see_each_other() {
    let (runtime, etcd) = (runtime(), Etcd::start());
    let _entered = runtime.enter();
    let other = open_at(vec![etcd.endpoint()], "tesu/");
    set(&*other, "range/0", Expected::Absent, "other").unwrap();
    let store = open(&etcd);
    common(&*store);
    assert_eq!(listed(&*other, ""), ["range/0"]);
    many_entries_are_read_whole(&*store);
    an_entry_above_the_limit_is_refused(&*store);
}

/// More than come with one answer.
fn many_entries_are_read_whole(store: &dyn MetadataStore) {
    let text = "x".repeat(30_000);
    let mut expected: Vec<String> = (0..600).map(|number| format!("many/{number:03}")).collect();
    for key in &expected {
        set(store, key, Expected::Absent, &text).unwrap();
    }
    assert_eq!(listed(store, "many/"), expected);
    expected.truncate(100);
    assert_eq!(listed(store, "many/0"), expected);
}

fn an_entry_above_the_limit_is_refused(store: &dyn MetadataStore) {
    let large = "x".repeat(base::limits::METADATA_ENTRY_BYTES_MAX);
    let error = set(store, "large", Expected::Absent, &large).unwrap_err();
    assert!(error.to_string().contains("exceeds the limit"), "{error}");
    let fits = &large[..large.len() - "large".len()];
    let revision = set(store, "large", Expected::Absent, fits).unwrap();
    let found = block_on(store.get("large")).unwrap().unwrap();
    assert_eq!((found.value.len(), found.revision), (fits.len(), revision));
}

#[test]
fn entries_of_a_lease_vanish_with_it() {
    let (runtime, etcd) = (runtime(), Etcd::start());
    let _entered = runtime.enter();
    let store = open(&etcd);
    // The shortest that etcd grants.
    let ttl = Duration::from_secs(2);
    let mut watch = store.watch("lease/", Revision(0));
    let [kept, lost, revoked] = [(); 3].map(|()| block_on(store.grant_lease(ttl)).unwrap());
    for (key, lease) in [
        ("lease/kept", kept),
        ("lease/lost", lost),
        ("lease/revoked", revoked),
    ] {
        let value = Some(Bytes::from_static(b"here"));
        block_on(store.compare_and_set(key, Expected::Absent, value, Some(lease))).unwrap();
        assert_eq!(awaited(&mut watch).unwrap().key, key);
    }
    block_on(store.revoke_lease(revoked)).unwrap();
    let gone = awaited(&mut watch).unwrap();
    assert_eq!((gone.key.as_str(), gone.value), ("lease/revoked", None));
    // Kept alive for as long as the other lease lasts and longer.
    let (keeper, handle) = (Arc::clone(&store), runtime.handle().clone());
    let keeping = std::thread::spawn(move || {
        let _entered = handle.enter();
        while value(&*keeper, "lease/lost").is_some() {
            block_on(keeper.keep_alive(kept)).unwrap();
        }
    });
    let gone = awaited(&mut watch).unwrap();
    assert_eq!((gone.key.as_str(), gone.value), ("lease/lost", None));
    keeping.join().unwrap();
    assert_eq!(listed(&*store, "lease/"), ["lease/kept"]);
    for gone in [lost, revoked] {
        let expired = |result: Result<(), MetadataError>| {
            let error = result.unwrap_err();
            assert!(
                matches!(error, MetadataError::LeaseExpired(id) if id == gone),
                "{error}"
            );
        };
        expired(block_on(store.keep_alive(gone)));
        expired(block_on(store.revoke_lease(gone)));
        let value = Some(Bytes::new());
        let set = block_on(store.compare_and_set("lease/x", Expected::Absent, value, Some(gone)));
        expired(set.map(|_| ()));
    }
}

/// Makes etcd forget changes before a revision.
fn compact(etcd: &Etcd, revision: u64) {
    let body = format!("{{\"revision\":\"{revision}\",\"physical\":true}}");
    let address = etcd.endpoint();
    let address = address.trim_start_matches("http://");
    let mut socket = TcpStream::connect(address).unwrap();
    let length = body.len();
    let request = format!(
        "POST /v3/kv/compaction HTTP/1.1\r\nHost: etcd\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn a_watch_of_what_is_forgotten_is_told_to_read_again() {
    let (runtime, etcd) = (runtime(), Etcd::start());
    let _entered = runtime.enter();
    let store = open(&etcd);
    let first = set(&*store, "a", Expected::Absent, "1").unwrap();
    let second = set(&*store, "a", Expected::At(first), "2").unwrap();
    let third = set(&*store, "a", Expected::At(second), "3").unwrap();
    compact(&etcd, third.0);
    let mut watch = store.watch("", first);
    let error = awaited(&mut watch).unwrap_err().to_string();
    assert!(error.contains("read again"), "{error}");
    assert!(block_on(futures::StreamExt::next(&mut watch)).is_none());
    let mut fresh = store.watch("", second);
    assert_eq!(awaited(&mut fresh).unwrap().revision, third);
}

#[test]
fn changes_are_refused_while_etcd_is_away_and_watches_go_on_afterwards() {
    let (runtime, mut etcd) = (runtime(), Etcd::start());
    let _entered = runtime.enter();
    let store = open(&etcd);
    let first = set(&*store, "a", Expected::Absent, "1").unwrap();
    let mut watch = store.watch("", Revision(0));
    assert_eq!(awaited(&mut watch).unwrap().revision, first);

    etcd.kill();
    let error = set(&*store, "a", Expected::At(first), "2").unwrap_err();
    assert!(
        matches!(
            error,
            MetadataError::Unavailable {
                operation: "write",
                ..
            }
        ),
        "{error}"
    );
    let error = block_on(store.get("a")).unwrap_err().to_string();
    assert!(error.starts_with("read metadata: etcd"), "{error}");

    etcd.start_again();
    // Another client: it is there before the watch has found its way back.
    let other = open(&etcd);
    let mut last = first;
    for number in 2..10 {
        last = set(&*other, "a", Expected::At(last), &number.to_string()).unwrap();
    }
    for number in 2..10 {
        let change = awaited(&mut watch).unwrap();
        assert_eq!(change.value.as_deref(), Some(number.to_string().as_bytes()));
    }
    // The first client too needs no restart.
    let changed = (0..10).find_map(|_| set(&*store, "a", Expected::At(last), "end").ok());
    assert_eq!(awaited(&mut watch).unwrap().revision, changed.unwrap());
}

#[test]
fn a_member_that_is_not_there_is_left_for_the_next_one() {
    let (runtime, etcd) = (runtime(), Etcd::start());
    let _entered = runtime.enter();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = nobody.local_addr().unwrap().port();
    drop(nobody);
    let endpoints = vec![format!("http://127.0.0.1:{port}"), etcd.endpoint()];
    let store = open_at(endpoints, "");
    let revision = set(&*store, "a", Expected::Absent, "1").unwrap();
    assert_eq!(value(&*store, "a").as_deref(), Some("1"));
    let mut watch = store.watch("", Revision(0));
    assert_eq!(awaited(&mut watch).unwrap().revision, revision);
}

/// Files of an authority, of etcd and of a client, both vouched for by it.
fn certificates(folder: &Path) -> (PathBuf, (PathBuf, PathBuf), (PathBuf, PathBuf)) {
    let write = |name: &str, text: String| {
        let path = folder.join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let issued = authority.self_signed(&key).unwrap();
    let authorities = write("ca.pem", issued.pem());
    let issuer = Issuer::new(authority, key);
    let make = |name: &str, usage: ExtendedKeyUsagePurpose| {
        let mut parameters = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
        parameters.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        let issued = parameters.signed_by(&key, &issuer).unwrap();
        (
            write(&format!("{name}.pem"), issued.pem()),
            write(&format!("{name}-key.pem"), key.serialize_pem()),
        )
    };
    let member = make("etcd", ExtendedKeyUsagePurpose::ServerAuth);
    let client = make("client", ExtendedKeyUsagePurpose::ClientAuth);
    (authorities, member, client)
}

#[test]
fn members_are_reached_over_tls_with_a_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let (authorities, member, client) = certificates(folder.path());
    let files = [
        ("--cert-file", &member.0),
        ("--key-file", &member.1),
        ("--trusted-ca-file", &authorities),
    ];
    let mut arguments = vec!["--client-cert-auth".to_owned()];
    for (name, file) in files {
        arguments.extend([name.to_owned(), file.display().to_string()]);
    }
    let (runtime, etcd) = (runtime(), Etcd::start_with(arguments));
    let _entered = runtime.enter();
    let endpoints = || vec![etcd.endpoint()];
    let tls = |authorities: &PathBuf, own| EtcdTls {
        authorities: authorities.clone(),
        own,
    };
    let with = |tls| open_with(endpoints(), "test/", Some(tls)).unwrap();
    let store = with(tls(&authorities, Some(client.clone())));
    set(&*store, "a", Expected::Absent, "1").unwrap();
    let mut watch = store.watch("", Revision(0));
    assert_eq!(awaited(&mut watch).unwrap().key, "a");

    // Nobody without a certificate, and no etcd that nobody vouches for.
    let nobody = with(tls(&authorities, None));
    assert!(block_on(nobody.get("a")).is_err());
    let (strangers, ..) = certificates(tempfile::tempdir().unwrap().path());
    assert!(open_with(endpoints(), "test/", Some(tls(&strangers, None))).is_err());
    let other = tempfile::tempdir().unwrap();
    let (strangers, ..) = certificates(other.path());
    let doubting = with(tls(&strangers, Some(client)));
    assert!(block_on(doubting.get("a")).is_err());
    assert!(open_with(endpoints(), "test/", None).is_err());
}
