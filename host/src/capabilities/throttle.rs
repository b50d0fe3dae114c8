//! `throttle`: attempts to sign in, counted by address and account.

use std::net::IpAddr;

use wasmtime::component::{HasData, Linker};

use super::Guest;
use crate::admission::throttle::{self as counts, Allowance, Bucket, TooOften};
use crate::bindings::wharf::plugin::throttle::{self, Error};

/// What one request may do with the throttle.
pub struct Throttle<'a> {
    counts: &'a counts::Throttle,
    address: IpAddr,
    attempt: &'a mut Option<Result<Allowance, TooOften>>,
}

impl throttle::Host for Throttle<'_> {
    async fn attempt(&mut self, account: Option<String>) -> wasmtime::Result<Result<(), Error>> {
        let account = account.unwrap_or_default();
        let counted = self.counts.count(Bucket::Account(self.address, &account)).transpose();
        let refused = matches!(counted, Some(Err(_)));
        *self.attempt = counted;
        Ok(if refused { Err(Error::TooOften) } else { Ok(()) })
    }
}

struct View;

impl HasData for View {
    type Data<'a> = Throttle<'a>;
}

pub(super) fn link(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    throttle::add_to_linker::<_, View>(linker, |guest| Throttle {
        counts: &guest.group.throttle,
        address: guest.address,
        attempt: &mut guest.left.attempt,
    })
}
