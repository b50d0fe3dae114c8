//! Signatures of artifacts, in minisign's format (<https://jedisct1.github.io/minisign/>): Ed25519 over
//! the BLAKE2b-512 hash of the bytes.

use minisign_verify::{PublicKey, Signature};

/// Whether a text is a public key, as the second line of a `.pub` file has it.
///
/// # Errors
/// Says that it is none.
pub fn check(public_key: &str) -> Result<(), String> {
    PublicKey::from_base64(public_key)
        .map(drop)
        .map_err(|error| format!("the signer {public_key:?} is no minisign public key ({error})"))
}

/// Verifies the signature of an artifact, given as the text of a `.minisig` file.
///
/// # Errors
/// Says what is wrong with the key or the signature.
pub fn verify(public_key: &str, signature: &str, bytes: &[u8]) -> Result<(), String> {
    check(public_key)?;
    let key = PublicKey::from_base64(public_key).map_err(|error| error.to_string())?;
    let signature = Signature::decode(signature)
        .map_err(|error| format!("the signature is none of minisign's ({error})"))?;
    // Signatures of the format before hashing was the rule are refused.
    key.verify(bytes, &signature, false).map_err(|error| {
        format!("the signature is not that of these bytes by the key {public_key} ({error})")
    })
}
