//! What a bucket is opened with.

use crate::adapters::aws::AwsAccess;
use crate::adapters::sigv4::{Address, AddressError, Style};

/// Which bucket, whose requests, and how it is named in a URL.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Whose requests, and where to.
    pub access: AwsAccess,
    /// Its name.
    pub bucket: String,
    /// How URLs name it.
    pub style: Style,
    /// Where clients reach it; none: where we do.
    pub public_endpoint: Option<String>,
}

impl S3Options {
    /// Where we reach it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        let region = &self.access.region;
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let aws = || format!("https://s3.{region}.amazonaws.com{suffix}");
        self.access.endpoint.clone().unwrap_or_else(aws)
    }

    /// What stands in front of a key in a URL for clients.
    ///
    /// # Errors
    /// An endpoint that is not one.
    pub fn public_address(&self) -> Result<Address, AddressError> {
        let endpoint = self.public_endpoint.clone().unwrap_or_else(|| self.endpoint());
        Address::new(&endpoint, &self.bucket, self.style)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::aws::AwsKeys;

    fn check(
        (region, endpoint, public): (&str, Option<&str>, Option<&str>),
        style: Style,
        ours: &str,
        host: &str,
    ) {
        let access = AwsAccess {
            region: region.to_owned(),
            endpoint: endpoint.map(str::to_owned),
            keys: AwsKeys::Chain,
        };
        let public_endpoint = public.map(str::to_owned);
        let options = S3Options { access, bucket: "files".to_owned(), style, public_endpoint };
        assert_eq!(options.endpoint(), ours);
        assert_eq!(options.public_address().unwrap().host(), host);
    }

    #[test]
    fn a_bucket_is_where_the_settings_or_aws_have_it() {
        let aws = "https://s3.eu-west-1.amazonaws.com";
        check(("eu-west-1", None, None), Style::VirtualHost, aws, "files.s3.eu-west-1.amazonaws.com");
        check(("eu-west-1", None, None), Style::Path, aws, "s3.eu-west-1.amazonaws.com");
        let china = "https://s3.cn-north-1.amazonaws.com.cn";
        check(("cn-north-1", None, None), Style::Path, china, "s3.cn-north-1.amazonaws.com.cn");
        let local = "http://10.0.0.7:7070";
        check(("us-east-1", Some(local), None), Style::Path, local, "10.0.0.7:7070");
        check(("us-east-1", Some(local), Some("https://s3.example")), Style::Path, local, "s3.example");
    }
}
