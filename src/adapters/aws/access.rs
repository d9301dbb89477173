//! Who we are for AWS, and where it is.

use std::fmt;
use std::path::{Path, PathBuf};

use aws_config::Region;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_sdk_s3::config::{Credentials, SharedCredentialsProvider};

/// Where credentials come from, for as long as they are asked for.
pub(in crate::adapters) type Provider = SharedCredentialsProvider;

/// Bytes of a file with a secret key.
const SECRET_BYTES_MAX: usize = 4 << 10;

/// A service of AWS, or a compatible one.
#[derive(Clone, Debug)]
pub struct AwsAccess {
    /// `eu-west-1`.
    pub region: String,
    /// `http://127.0.0.1:9324`; none: where AWS has it in the region.
    pub endpoint: Option<String>,
    /// Whose requests these are.
    pub keys: AwsKeys,
}

/// Whose requests these are.
#[derive(Clone, Debug)]
pub enum AwsKeys {
    /// As the AWS SDKs find them: environment, profile (not `credential_process`, not SSO), web identity, container,
    /// instance.
    Chain,
    /// Two static keys. They do not expire.
    Static {
        /// The public half.
        access_key_id: String,
        /// The other one.
        secret_key: Secret,
    },
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A secret that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret in {}: {reason}", path.display())]
pub struct SecretError {
    /// The file.
    pub path: PathBuf,
    /// Why, without what is in it.
    pub reason: String,
}

impl Secret {
    /// Takes a secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// Reads a secret from a file; space around it does not count.
    ///
    /// # Errors
    /// A file that cannot be read, is empty, or is too long for a secret.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let refused = |reason: String| SecretError { path: path.to_owned(), reason };
        let text = std::fs::read_to_string(path).map_err(|error| refused(error.to_string()))?;
        let secret = text.trim();
        if secret.is_empty() || secret.len() > SECRET_BYTES_MAX {
            return Err(refused(format!("it must have 1 to {SECRET_BYTES_MAX} bytes, not {}", secret.len())));
        }
        Ok(Self(secret.to_owned()))
    }

    /// The text, to sign with and for nothing else.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl AwsAccess {
    /// Where these keys come from. Asks nobody yet.
    pub(in crate::adapters) async fn provider(&self) -> Provider {
        match &self.keys {
            AwsKeys::Chain => {
                let region = Region::new(self.region.clone());
                SharedCredentialsProvider::new(
                    DefaultCredentialsChain::builder().region(region).build().await,
                )
            }
            AwsKeys::Static { access_key_id, secret_key } => {
                let keys = Credentials::new(access_key_id, secret_key.expose(), None, None, "settings");
                SharedCredentialsProvider::new(keys)
            }
        }
    }

    /// The region, as the SDKs want it.
    pub(in crate::adapters) fn region(&self) -> Region {
        Region::new(self.region.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: &[u8], expected: Result<&str, &str>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, content).unwrap();
        match (Secret::read(&path), expected) {
            (Ok(secret), Ok(expected)) => assert_eq!(secret.expose(), expected),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (read, _) => panic!("{read:?} is not {expected:?}"),
        }
    }

    #[test]
    fn a_secret_is_what_stands_in_the_file() {
        check(b"wJalr/+X\n", Ok("wJalr/+X"));
        check(b" \n", Err("1 to 4096 bytes, not 0"));
        check(&[b'x'; 5000], Err("not 5000"));
        check(b"\xff", Err("UTF-8"));
        let missing = Secret::read(Path::new("no/such")).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read the secret in no/such: "), "{missing}");
    }

    #[test]
    fn a_secret_is_not_printed() {
        let keys = AwsKeys::Static { access_key_id: "AKID".into(), secret_key: Secret::new("hush".into()) };
        let access = AwsAccess { region: "eu-west-1".into(), endpoint: None, keys };
        assert!(!format!("{access:?}").contains("hush"));
    }
}
