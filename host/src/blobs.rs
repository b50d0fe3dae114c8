//! Tenants' files: in a folder, or in a bucket of S3-compatible storage. The only room that knows
//! `object_store`.

use std::fmt;
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{GetResult, ObjectStore, ObjectStoreExt as _, RetryConfig};
use serde::Deserialize;

/// Where files lie, and how large they may be; in `[blobs]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `s3://bucket/prefix`; a folder in the data folder if it is not set.
    pub url: Option<String>,
    /// Bytes of one file at most.
    pub bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Config { url: None, bytes: 32 * 1024 * 1024 }
    }
}

/// The longest key in bytes. File systems end at 255 for a segment.
const LONGEST_KEY: usize = 200;

/// Why it was not done.
#[derive(Debug)]
pub enum Failure {
    /// There is no file of this key.
    NotFound,
    /// The key is not one.
    Invalid(String),
    /// The file is larger than one may be.
    TooLarge,
    /// The storage does not answer, or is full; for the log.
    Unavailable(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NotFound => f.write_str("there is no such blob"),
            Failure::Invalid(text) | Failure::Unavailable(text) => f.write_str(text),
            Failure::TooLarge => f.write_str("the blob is larger than one may be (blobs.bytes)"),
        }
    }
}

impl std::error::Error for Failure {}

/// Where the files of all tenants lie.
pub struct Storage {
    store: Arc<dyn ObjectStore>,
    kind: Kind,
    most: u64,
}

enum Kind {
    /// In a folder of tenants, each of which keeps other things as well.
    Folder,
    /// Below this prefix of a bucket.
    Bucket(Path),
}

/// The files of one tenant. Clones share them.
#[derive(Clone, Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    most: u64,
}

/// A file that is being read, piece by piece.
pub struct Reading {
    /// Its size in bytes.
    pub size: u64,
    /// Its content.
    pub content: BoxStream<'static, Result<Bytes, Failure>>,
}

impl fmt::Debug for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").field("size", &self.size).finish_non_exhaustive()
    }
}

impl Storage {
    /// Opens the storage and proves that it answers.
    ///
    /// # Errors
    /// A sentence that names the place and the remedy.
    pub async fn open(config: &Config, tenants: &FilePath) -> Result<Self, String> {
        let most = config.bytes;
        let Some(url) = &config.url else {
            let unusable = |error: &dyn fmt::Display| {
                format!(
                    "cannot keep files in {}: {error}; make it writable or choose another folder with --data",
                    tenants.display()
                )
            };
            std::fs::create_dir_all(tenants).map_err(|error| unusable(&error))?;
            let store = LocalFileSystem::new_with_prefix(tenants)
                .map_err(|error| unusable(&error))?
                // A file that was acknowledged is there after a crash as well.
                .with_fsync(true);
            return Ok(Storage { store: Arc::new(store), kind: Kind::Folder, most });
        };
        let unusable = |error: &dyn fmt::Display| {
            format!(
                "cannot keep files in blobs.url: {error}; it looks like s3://bucket/prefix, with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for storage that is not Amazon's, AWS_ENDPOINT in the environment"
            )
        };
        let (bucket, prefix) = url
            .strip_prefix("s3://")
            .map(|rest| rest.split_once('/').unwrap_or((rest, "")))
            .filter(|(bucket, _)| !bucket.is_empty())
            .ok_or_else(|| unusable(&"it is no s3:// URL"))?;
        let store =
            AmazonS3Builder::from_env().with_bucket_name(bucket).with_retry(patience()).build();
        let store = store.map_err(|error| unusable(&error))?;
        let prefix = Path::parse(prefix).map_err(|error| unusable(&error))?;
        match store.head(&prefix.clone().join("is-it-there")).await.map_err(failure) {
            Ok(_) | Err(Failure::NotFound) => {}
            Err(failure) => return Err(unusable(&failure)),
        }
        Ok(Storage { store: Arc::new(store), kind: Kind::Bucket(prefix), most })
    }

    /// Removes all files of a tenant that is no more.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn remove(&self, tenant: &str) -> Result<(), Failure> {
        let Blobs { store, prefix, .. } = self.of(tenant);
        let places = store.list(Some(&prefix)).map_ok(|found| found.location).boxed();
        let mut removed = store.delete_stream(places);
        while let Some(done) = removed.next().await {
            match done.map_err(failure) {
                Ok(_) | Err(Failure::NotFound) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The files of one tenant.
    pub fn of(&self, tenant: &str) -> Blobs {
        let prefix = match &self.kind {
            Kind::Folder => Path::default().join(tenant).join("blobs"),
            Kind::Bucket(prefix) => prefix.clone().join(tenant),
        };
        Blobs { store: Arc::clone(&self.store), prefix, most: self.most }
    }
}

impl Blobs {
    /// Stores a file in place of an earlier one; it is there whole or not at all.
    pub async fn put(&self, key: &str, content: Bytes) -> Result<(), Failure> {
        if content.len() as u64 > self.most {
            return Err(Failure::TooLarge);
        }
        let done = self.store.put(&self.path(key)?, content.into()).await;
        done.map(drop).map_err(failure)
    }

    /// Begins to read a file.
    pub async fn read(&self, key: &str) -> Result<Reading, Failure> {
        let found: GetResult = self.store.get(&self.path(key)?).await.map_err(failure)?;
        let size = found.meta.size;
        let content = found.into_stream().map(|piece| piece.map_err(failure)).boxed();
        Ok(Reading { size, content })
    }

    /// Reads a whole file.
    pub async fn get(&self, key: &str) -> Result<Bytes, Failure> {
        let found = self.store.get(&self.path(key)?).await.map_err(failure)?;
        if found.meta.size > self.most {
            return Err(Failure::TooLarge);
        }
        found.bytes().await.map_err(failure)
    }

    /// Removes a file; one that is not there is removed already.
    pub async fn delete(&self, key: &str) -> Result<(), Failure> {
        match self.store.delete(&self.path(key)?).await.map_err(failure) {
            Err(Failure::NotFound) => Ok(()),
            done => done,
        }
    }

    /// Where a key's file lies. Keys are so narrow that no file system and no storage reads more into one.
    fn path(&self, key: &str) -> Result<Path, Failure> {
        let plain = |segment: &str| {
            !segment.is_empty()
                && !segment.starts_with('.')
                && segment
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        };
        if key.len() > LONGEST_KEY || !key.split('/').all(plain) {
            return Err(Failure::Invalid(format!(
                "a key has at most {LONGEST_KEY} bytes: segments of letters, digits, -, _ and . parted by slashes, none beginning with a dot"
            )));
        }
        Ok(key.split('/').fold(self.prefix.clone(), Path::join))
    }
}

/// A request waits for its answer: storage that is away for longer is told as such.
fn patience() -> RetryConfig {
    RetryConfig { max_retries: 3, retry_timeout: Duration::from_secs(5), ..RetryConfig::default() }
}

fn failure(error: object_store::Error) -> Failure {
    match error {
        object_store::Error::NotFound { .. } => Failure::NotFound,
        other => Failure::Unavailable(other.to_string()),
    }
}
