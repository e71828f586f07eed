//! Publishing, with real files, real signatures and programs that say a version.

use std::fs;

use base::ErrorKind;
use tempfile::TempDir;

use super::{test_key::TestKey, *};
use crate::test_world::{MemoryMetadata, RealClock};

const OLD: &str = "5.0-rmq-20230329";
const NEW: &str = "5.5.0-rmq-1.1.1";

struct World {
    metadata: Arc<MemoryMetadata>,
    folder: TempDir,
    key: TestKey,
}

impl World {
    fn new() -> Self {
        Self {
            metadata: Arc::default(),
            folder: TempDir::new().unwrap(),
            key: TestKey::new(1),
        }
    }

    async fn open(&self) -> Catalogue {
        let keys = TrustedKeys::parse(&(TestKey::new(2).public() + &self.key.public())).unwrap();
        let metadata = Arc::clone(&self.metadata) as Arc<dyn MetadataStore>;
        let folder = self.folder.path().join("releases");
        Catalogue::open(metadata, Arc::new(RealClock), &folder, keys)
            .await
            .unwrap()
    }

    /// A signed program that says `said`.
    fn release(&self, version: &str, said: &str) -> NewRelease {
        self.program(version, &format!("#!/bin/sh\necho \"{said}\"\n"))
    }

    fn program(&self, version: &str, program: &str) -> NewRelease {
        let binary = self.folder.path().join("carrack");
        fs::write(&binary, program).unwrap();
        NewRelease {
            version: version.parse().unwrap(),
            released_on: "2026-01-31".parse().unwrap(),
            notes: "faster".to_owned(),
            binary,
            signature: self.key.sign(program.as_bytes()),
            key: None,
        }
    }

    fn files(&self) -> Vec<String> {
        let files = fs::read_dir(self.folder.path().join("releases")).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

async fn refused(world: &World, new: NewRelease) -> PublishError {
    let catalogue = world.open().await;
    let error = catalogue.publish(new).await.unwrap_err();
    assert_eq!(world.files(), Vec::<String>::new(), "{error}");
    assert!(catalogue.list().is_empty() && world.open().await.list().is_empty());
    error
}

#[tokio::test]
async fn a_signed_binary_becomes_a_release_that_outlives_the_process() {
    let world = World::new();
    let catalogue = world.open().await;
    let first = world.release(NEW, &format!("carrack {NEW}"));
    let published = catalogue.publish(first).await.unwrap();
    assert_eq!(published.supported_until().to_string(), "2026-07-31");
    assert!(published.is_supported("2026-07-31".parse().unwrap()));
    assert!(!published.is_supported("2026-08-01".parse().unwrap()));
    let second = world.release(OLD, &format!("carrack {OLD}"));
    let older = catalogue.publish(second).await.unwrap();
    assert_eq!(catalogue.newest().unwrap(), published);

    let again = world.open().await;
    assert_eq!(again.list(), [Arc::clone(&published), older]);
    let binary = again.binary(published.version).await.unwrap();
    assert_eq!(fs::metadata(&binary).unwrap().len(), published.size);
    assert_eq!(world.files().len(), 2);
}

#[tokio::test]
async fn a_release_never_changes() {
    let world = World::new();
    let catalogue = world.open().await;
    let new = world.release(NEW, NEW);
    catalogue.publish(new.clone()).await.unwrap();
    let error = catalogue.publish(new).await.unwrap_err();
    assert!(
        matches!(error, PublishError::AlreadyPublished { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_binary_that_was_changed_or_cut_off_is_refused() {
    let world = World::new();
    let new = world.release(NEW, NEW);
    let whole = fs::read(&new.binary).unwrap();
    for bytes in [
        &whole[..whole.len() - 1],
        &[&whole[..], b"\n"].concat(),
        b"",
    ] {
        fs::write(&new.binary, bytes).unwrap();
        let error = refused(&world, new.clone()).await;
        assert!(
            matches!(error, PublishError::WrongSignature { .. }),
            "{error}"
        );
        assert!(
            error
                .to_string()
                .contains(&format!("{} bytes", bytes.len()))
        );
        assert_eq!(error.kind(), ErrorKind::Request);
    }
}

#[tokio::test]
async fn a_signature_by_somebody_else_is_refused() {
    let world = World::new();
    let mut new = world.release(NEW, NEW);
    let program = fs::read(&new.binary).unwrap();
    new.signature = TestKey::new(3).sign(&program);
    let error = refused(&world, new.clone()).await;
    assert!(
        matches!(error, PublishError::UnknownKey { trusted: 2 }),
        "{error}"
    );
    // The other trusted key's number on our signature.
    new.signature = TestKey::new(2).sign(b"something else");
    let error = refused(&world, new).await;
    assert!(
        matches!(error, PublishError::WrongSignature { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn what_is_no_signature_is_refused() {
    let world = World::new();
    let new = world.release(NEW, NEW);
    let program = fs::read(&new.binary).unwrap();
    let good = &new.signature;
    let legacy = world.key.sign_legacy(&program);
    let texts = [
        String::new(),
        "x".repeat(100_000),
        good[..good.len() / 2].to_owned(),
        legacy,
    ];
    for signature in texts {
        let new = NewRelease {
            signature,
            ..new.clone()
        };
        let error = refused(&world, new).await;
        assert!(
            matches!(error, PublishError::SignatureFormat { .. }),
            "{error}"
        );
    }
    let signature = good.replace("made by a test", "made by a tent");
    let error = refused(&world, NewRelease { signature, ..new }).await;
    assert!(
        matches!(error, PublishError::WrongSignature { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_binary_that_says_another_version_is_refused() {
    let world = World::new();
    let error = refused(&world, world.release(NEW, &format!("carrack {OLD}"))).await;
    let text = error.to_string();
    assert!(text.contains(OLD) && text.contains(NEW), "{text}");
    for program in ["#!/bin/sh\nexit 3\n", "#!/bin/sh\ntrue\n", "no program"] {
        let error = refused(&world, world.program(NEW, program)).await;
        assert!(matches!(error, PublishError::NoVersion { .. }), "{error}");
    }
    let missing = NewRelease {
        binary: world.folder.path().join("nowhere"),
        ..world.release(NEW, NEW)
    };
    let error = refused(&world, missing).await;
    assert!(matches!(error, PublishError::Unreadable { .. }), "{error}");
}

#[tokio::test]
async fn a_binary_is_compared_with_what_was_published_before_it_is_used() {
    let world = World::new();
    let catalogue = world.open().await;
    let release = catalogue.publish(world.release(NEW, NEW)).await.unwrap();
    let path = catalogue.binary(release.version).await.unwrap();
    fs::write(&path, "something else").unwrap();
    let error = catalogue.binary(release.version).await.unwrap_err();
    assert!(matches!(error, BinaryError::Damaged { .. }), "{error}");
    let unknown = OLD.parse().unwrap();
    let error = catalogue.binary(unknown).await.unwrap_err();
    assert!(matches!(error, BinaryError::NotPublished { .. }), "{error}");
}

#[tokio::test]
async fn remains_of_a_publication_do_not_hinder_the_next() {
    let world = World::new();
    let catalogue = world.open().await;
    fs::write(world.folder.path().join("releases/incoming"), "half").unwrap();
    catalogue.publish(world.release(NEW, NEW)).await.unwrap();
    assert_eq!(world.files().len(), 1);
}

#[test]
fn keys_are_read_from_public_key_files() {
    assert_eq!(TrustedKeys::parse("\n").unwrap_err(), KeyError::None);
    let text = TestKey::new(1).public() + "RWQ\n";
    let error = TrustedKeys::parse(&text).unwrap_err();
    assert!(matches!(error, KeyError::Line { line: 3, .. }), "{error}");
}

#[tokio::test]

async fn the_key_of_the_first_release_is_trusted_from_then_on() {
    let world = World::new();
    let open = || async {
        let metadata = Arc::clone(&world.metadata) as Arc<dyn MetadataStore>;
        let folder = world.folder.path().join("releases");
        let keys = TrustedKeys::default();
        Catalogue::open(metadata, Arc::new(RealClock), &folder, keys)
            .await
            .unwrap()
    };
    let release = |version: &str, key: Option<String>| NewRelease {
        key,
        ..world.release(version, &format!("carrack {version}"))
    };
    let (own, other) = (world.key.public(), TestKey::new(2).public());
    let refused = |error: PublishError| error.to_string();

    let catalogue = open().await;
    let none = catalogue.publish(release(OLD, None)).await.unwrap_err();
    assert!(matches!(none, PublishError::NoKey), "{none}");
    // One that did not sign it is not kept.
    let wrong = release(OLD, Some(other.clone()));
    let wrong = catalogue.publish(wrong).await.unwrap_err();
    assert!(matches!(wrong, PublishError::UnknownKey { .. }), "{wrong}");
    let no_key = release(OLD, Some("no key".to_owned()));
    let no_key = refused(catalogue.publish(no_key).await.unwrap_err());
    assert!(no_key.contains("not usable"), "{no_key}");

    let first = release(OLD, Some(own.clone()));
    catalogue.publish(first).await.unwrap();
    for catalogue in [catalogue, open().await] {
        let another = release(NEW, Some(other.clone()));
        let another = catalogue.publish(another).await.unwrap_err();
        assert!(matches!(another, PublishError::KeyNotTrusted { .. }));
    }
    let catalogue = open().await;
    catalogue.publish(release(NEW, None)).await.unwrap();
    // Keys that the operator names are the only ones that count.
    let world_of_two = world.open().await;
    let newer = "5.5.0-rmq-1.1.2";
    world_of_two
        .publish(release(newer, Some(own)))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_the_operator_started_is_kept_until_a_release_has_its_version() {
    let world = World::new();
    let catalogue = world.open().await;
    let own = world.folder.path().join("own");
    fs::write(&own, "#!/bin/sh\necho own\n").unwrap();
    let version: Version = OLD.parse().unwrap();
    for _ in 0..2 {
        catalogue.keep_own(version, &own).await.unwrap();
    }
    assert_eq!((world.files().len(), catalogue.list().len()), (1, 0));
    // The next control process has it too, whatever became of the file.
    fs::remove_file(&own).unwrap();
    let next = world.open().await;
    let kept = next.binary(version).await.unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "#!/bin/sh\necho own\n");
    // Another build of the same version takes its place, and a release does so for good.
    fs::write(&own, "#!/bin/sh\necho other\n").unwrap();
    next.keep_own(version, &own).await.unwrap();
    let kept = next.binary(version).await.unwrap();
    assert_eq!(fs::read_to_string(kept).unwrap(), "#!/bin/sh\necho other\n");
    let release = world.release(OLD, &format!("carrack {OLD}"));
    let published = next.publish(release).await.unwrap();
    next.keep_own(version, &own).await.unwrap();
    assert!(
        next.binary(version)
            .await
            .unwrap()
            .ends_with(&published.digest)
    );
}
