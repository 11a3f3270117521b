//! Randomness as an argument, as time is one: jitter and ids are drawn from here.

use std::sync::Arc;

use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng as _};

/// A source of random numbers: the system's, or one that says the same for the same seed. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Chance(Option<Arc<Mutex<StdRng>>>);

impl Chance {
    /// The system's generator, one for each thread.
    pub fn system() -> Self {
        Self(None)
    }

    /// A generator that repeats itself for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Some(Arc::new(Mutex::new(StdRng::seed_from_u64(seed)))))
    }

    /// Draws.
    pub fn draw<T>(&self, draw: impl FnOnce(&mut dyn Rng) -> T) -> T {
        match &self.0 {
            Some(seeded) => draw(&mut *seeded.lock()),
            None => draw(&mut rand::rng()),
        }
    }
}
