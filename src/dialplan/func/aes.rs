//! `AES_ENCRYPT(key,text)`, `AES_DECRYPT(key,base64)`: AES-128 as Asterisk uses it.
//!
//! Every block of 16 bytes on its own (ECB), the last one filled with zero bytes, nothing that proves who wrote it: equal
//! texts are equal in secret. It is here so that what old scripts stored can be read; new secrets belong elsewhere.

use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};

use super::{Func, FuncError, base64, bytes, slots};
use crate::dialplan::app::CheckError;
use crate::dialplan::piece::Piece;
use crate::dialplan::vars::Scope;

/// Bytes of a block, and of a key.
const BLOCK_BYTES: usize = 16;

pub(super) enum Aes {
    Encrypt,
    Decrypt,
}

impl Func for Aes {
    fn name(&self) -> &'static str {
        match self {
            Self::Encrypt => "AES_ENCRYPT",
            Self::Decrypt => "AES_DECRYPT",
        }
    }

    fn syntax(&self) -> &'static str {
        match self {
            Self::Encrypt => "key,text",
            Self::Decrypt => "key,base64",
        }
    }

    fn synopsis(&self) -> &'static str {
        match self {
            Self::Encrypt => "The text encrypted with a key of 16 characters (AES-128, ECB), in base64.",
            Self::Decrypt => "The text that AES_ENCRYPT made base64 of with the same key.",
        }
    }

    fn check(&self, args: &Piece<'_>) -> Result<(), CheckError> {
        slots::need(args, &["key", "text"])?;
        let [key, _] = slots::fixed(args);
        match key.literal() {
            Some(key) if key.len() != BLOCK_BYTES => Err(CheckError::KeyLength(key.len())),
            _ => Ok(()),
        }
    }

    fn read(&self, scope: &mut dyn Scope, args: Piece<'_>) -> Result<String, FuncError> {
        let [key, text] = slots::fixed(&args).map(|piece| piece.value(scope));
        if key.is_empty() || text.is_empty() {
            return Err(FuncError::Missing("key or text"));
        }
        let cipher = Aes128::new_from_slice(key.as_bytes()).map_err(|_| FuncError::KeyLength(key.len()))?;
        Ok(match self {
            Self::Encrypt => base64::encode(&by_block(text.into_bytes(), |block| cipher.encrypt_block(block))),
            Self::Decrypt => bytes::text(by_block(base64::decode(&text), |block| cipher.decrypt_block(block))),
        })
    }
}

/// Each block changed, the last one filled with zeros.
fn by_block(mut bytes: Vec<u8>, change: impl Fn(&mut aes::Block)) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    for chunk in bytes.chunks_exact_mut(BLOCK_BYTES) {
        if let Ok(block) = chunk.try_into() {
            change(block);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::testing::{evaluate, refusal, value};

    const ROWS: [(&str, &str); 6] = [
        ("1234", "Je2G/qyHuGVKgvvXDwXjHA=="),
        ("34", "yvo1HGnVxuNkysnDJikuMQ=="),
        ("0123456789abcdef", "SVQyZlOELvJevEKkmPd/Lg=="),
        ("0123456789abcdefg", "SVQyZlOELvJevEKkmPd/Lm03sq8de1LdUQmCzoCrlZw="),
        (
            "The quick brown fox jumps over the lazy dog, twice",
            "/hWDglKnIoqFiSkmkKOx3ub7Xfoksi6xmPcvoVrOMIbeX6seVO/u1r+H8AfCN9aOuCxRflpNnxK9r4KraN6Ehg==",
        ),
        ("ä", ""),
    ];

    #[test]
    fn s191_and_s192_what_asterisk_encrypted_is_encrypted_bit_for_bit() {
        for (text, secret) in ROWS {
            let encrypted = value("${AES_ENCRYPT(1234qwerasdfzxcv,${T})}", &[("T", text)]);
            assert!(secret.is_empty() || encrypted == secret, "{text}: {encrypted}");
            assert_eq!(value("${AES_DECRYPT(1234qwerasdfzxcv,${S})}", &[("S", &encrypted)]), text);
        }
        let last = "${AES_ENCRYPT(1234qwerasdfzxcv,The quick brown fox jumps over the lazy dog, twice)}";
        assert_eq!(value(last, &[]), ROWS[4].1);
    }

    #[test]
    fn s190_a_key_of_another_length_is_an_error_that_names_it() {
        assert_eq!(refusal("${AES_ENCRYPT(12345678,x)}"), "AES_ENCRYPT: the key must be exactly 16 characters, not 8");
        assert_eq!(refusal("${AES_DECRYPT(1234qwerasdfzxcv)}"), "AES_DECRYPT: text is missing");
        for length in [8, 15, 17] {
            let (text, warnings) = evaluate("${AES_ENCRYPT(${K},x)}", &[("K", &"k".repeat(length))]);
            assert_eq!(text, "");
            assert_eq!(warnings, [format!("AES_ENCRYPT: the key must be exactly 16 characters, not {length}")]);
        }
        let (text, warnings) = evaluate("${AES_DECRYPT(1234qwerasdfzxcv,${NOTHING})}", &[]);
        assert_eq!((text.as_str(), warnings.len()), ("", 1));
    }

    #[test]
    fn a_wrong_key_or_no_base64_gives_something_else_and_no_error() {
        let variables = [("S", ROWS[0].1), ("PIN", "1234")];
        let (garbage, warnings) = evaluate("${AES_DECRYPT(1234qwerasdfzxcw,${S})}", &variables);
        assert_ne!(garbage, "1234");
        assert!(warnings.is_empty());
        assert_eq!(value("$[\"${AES_DECRYPT(1234qwerasdfzxcw,${S})}\" = \"${PIN}\"]", &variables), "0");
        assert_ne!(value("${AES_DECRYPT(1234qwerasdfzxcv,no base64!)}", &[]), "1234");
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back_and_any_secret_is_survived(text in "[^\\x00]{0,60}", key in "[a-z]{14,18}") {
            let variables = [("T", text.as_str()), ("K", key.as_str())];
            if key.len() == 16 && !text.is_empty() {
                let secret = value("${AES_ENCRYPT(${K},${T})}", &variables);
                proptest::prop_assert_eq!(value("${AES_DECRYPT(${K},${S})}", &[("S", &secret), ("K", &key)]), text.clone());
            }
            value("${AES_DECRYPT(${K},${T})}", &variables);
        }
    }
}
