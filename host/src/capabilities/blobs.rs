//! `blobs`: the tenant's files. What is large passes the guest by: a part of the request's body is
//! stored as it arrived, and a blob is sent as it is read.

use bytes::Bytes;
use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::bindings::wharf::plugin::blobs::{self, Error};
use crate::blobs::{self as store, Failure, Reading};

/// What one request may do with the tenant's files.
pub struct Blobs<'a> {
    files: &'a store::Blobs,
    body: &'a Bytes,
    response: &'a mut Option<Reading>,
}

impl blobs::Host for Blobs<'_> {
    async fn put(&mut self, key: String, content: Vec<u8>) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.files.put(&key, content.into()).await.map_err(error))
    }

    async fn keep(
        &mut self,
        key: String,
        offset: u64,
        length: u64,
    ) -> wasmtime::Result<Result<(), Error>> {
        let end = offset.checked_add(length).filter(|end| *end <= self.body.len() as u64);
        let (Ok(offset), Some(Ok(end))) = (usize::try_from(offset), end.map(usize::try_from))
        else {
            return Ok(Err(Error::Invalid(format!(
                "the request's body has {} bytes",
                self.body.len()
            ))));
        };
        Ok(self.files.put(&key, self.body.slice(offset..end)).await.map_err(error))
    }

    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        Ok(self.files.get(&key).await.map(Into::into).map_err(error))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<Result<(), Error>> {
        Ok(self.files.delete(&key).await.map_err(error))
    }

    async fn respond(&mut self, key: String) -> wasmtime::Result<Result<u64, Error>> {
        let reading = self.files.read(&key).await;
        Ok(reading.map_err(error).map(|reading| self.response.insert(reading).size))
    }
}

fn error(failure: Failure) -> Error {
    match failure {
        Failure::NotFound => Error::NotFound,
        Failure::Invalid(text) => Error::Invalid(text),
        Failure::TooLarge => Error::TooLarge,
        Failure::Unavailable(cause) => {
            tracing::error!(cause, "the storage of blobs does not answer");
            Error::Unavailable
        }
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Blobs<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    blobs::add_to_linker::<_, View>(linker, |guest| Blobs {
        files: &guest.group.shared.blobs,
        body: &guest.body,
        response: &mut guest.left.blob,
    })
}
