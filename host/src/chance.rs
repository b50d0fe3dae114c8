//! Randomness, from one place, so that tests of components can have the same again.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::ChaCha20Rng;
use rand::{Rng as _, SeedableRng as _};

/// Gives random bytes. Clones share one sequence.
#[derive(Clone)]
pub struct Chance {
    /// What is known beforehand; `None` reads the operating system's generator.
    seeded: Option<Arc<Mutex<ChaCha20Rng>>>,
}

impl Chance {
    /// The operating system's generator, fit for secrets.
    pub fn system() -> Self {
        Chance { seeded: None }
    }

    /// Bytes that follow from a seed, and are no secret: for tests of components alone.
    pub fn seeded(seed: u64) -> Self {
        Chance { seeded: Some(Arc::new(Mutex::new(ChaCha20Rng::seed_from_u64(seed)))) }
    }

    /// Fills a buffer.
    ///
    /// # Errors
    /// The operating system gives none.
    pub fn fill(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        match &self.seeded {
            None => getrandom::fill(bytes),
            Some(sequence) => {
                sequence.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(bytes);
                Ok(())
            }
        }
    }

    /// A sequence of its own that goes on from here; `None` for the operating system's.
    pub fn fork(&self) -> Option<ChaCha20Rng> {
        let sequence = self.seeded.as_ref()?;
        let mut sequence = sequence.lock().unwrap_or_else(PoisonError::into_inner);
        Some(ChaCha20Rng::from_rng(&mut *sequence))
    }
}
