//! Text that nobody can guess.

use crate::random;

/// What keys and names are made of that people do not have to read.
pub const LETTERS_AND_DIGITS: &[u8] =
    b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Draws characters evenly: random bytes that would favour the first ones are thrown away.
pub fn draw(characters: &[u8], length: usize) -> String {
    let most = 256 / characters.len() * characters.len();
    let mut drawn = String::new();
    while drawn.len() < length {
        let even = random::bytes(64).into_iter().map(usize::from).filter(|byte| *byte < most);
        let even = even.take(length - drawn.len());
        drawn.extend(even.map(|byte| char::from(characters[byte % characters.len()])));
    }
    drawn
}
