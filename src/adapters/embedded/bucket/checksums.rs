//! Checksums that clients name: of one body, of each part of an upload, of the whole of its parts.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;

/// The headers that checksums come in.
pub(super) const NAMES: [&str; 5] = [CRC32, CRC32C, CRC64NVME, SHA1, SHA256];
const CRC32: &str = "x-amz-checksum-crc32";
const CRC32C: &str = "x-amz-checksum-crc32c";
const CRC64NVME: &str = "x-amz-checksum-crc64nvme";
const SHA1: &str = "x-amz-checksum-sha1";
pub(super) const SHA256: &str = "x-amz-checksum-sha256";

/// A checksum by the name of its header, in base64.
pub(super) type Named = (&'static str, String);

/// The checksums that are there.
pub(super) fn named(checksum: &Checksum) -> Vec<Named> {
    let all = NAMES.into_iter().filter_map(|name| Some((name, get(checksum, name)?.to_owned())));
    all.collect()
}

/// The checksum of a name.
pub(super) fn get<'a>(checksum: &'a Checksum, name: &str) -> Option<&'a str> {
    let field = match name {
        CRC32 => &checksum.checksum_crc32,
        CRC32C => &checksum.checksum_crc32c,
        CRC64NVME => &checksum.checksum_crc64nvme,
        SHA1 => &checksum.checksum_sha1,
        SHA256 => &checksum.checksum_sha256,
        _ => return None,
    };
    field.as_deref()
}

/// Computes the checksums that are wanted, by the names of their headers.
pub(super) fn hasher(is_wanted: impl Fn(&str) -> bool) -> ChecksumHasher {
    ChecksumHasher {
        crc32: is_wanted(CRC32).then(Crc32::new),
        crc32c: is_wanted(CRC32C).then(Crc32c::new),
        crc64nvme: is_wanted(CRC64NVME).then(Crc64Nvme::new),
        sha1: is_wanted(SHA1).then(Sha1::new),
        sha256: is_wanted(SHA256).then(Sha256::new),
    }
}

/// The first of the named checksums that is not the one that was found.
pub(super) fn different(named: &[Named], found: &Checksum) -> Option<&'static str> {
    let is_other = |(name, value): &&Named| get(found, name) != Some(value.trim());
    named.iter().find(is_other).map(|(name, _)| *name)
}

/// The checksums in a completion: of the bytes of the whole object, and of the checksums of its parts,
/// which S3 writes with the number of parts behind them, `…-3`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Whole {
    pub(super) of_bytes: Vec<Named>,
    pub(super) of_parts: Vec<Named>,
}

impl Whole {
    /// Tells the two kinds apart.
    pub(super) fn new(checksum: &Checksum) -> Self {
        let (of_parts, of_bytes) = named(checksum).into_iter().partition(|(_, value)| value.contains('-'));
        Self { of_bytes, of_parts }
    }
}

/// Collects the checksums of parts.
#[derive(Debug)]
pub(super) struct OfParts {
    /// The bytes of each part's checksum, one after the other.
    digests: Vec<(Named, Vec<u8>)>,
    parts: usize,
}

impl OfParts {
    pub(super) fn new(wanted: &[Named]) -> Self {
        Self { digests: wanted.iter().map(|named| (named.clone(), Vec::new())).collect(), parts: 0 }
    }

    /// Whether each part's checksum of this name is needed.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.digests.iter().any(|((wanted, _), _)| *wanted == name)
    }

    /// Adds the next part's checksums.
    pub(super) fn push(&mut self, found: &Checksum) {
        self.parts += 1;
        for ((name, _), digests) in &mut self.digests {
            let digest = get(found, name).and_then(|digest| STANDARD.decode(digest).ok());
            digests.extend(digest.unwrap_or_default());
        }
    }

    /// The first that is not what was named.
    pub(super) fn different(&self) -> Option<&'static str> {
        let is_other = |((name, value), digests): &&(Named, Vec<u8>)| {
            let mut whole = hasher(|wanted| wanted == *name);
            whole.update(digests);
            let found = whole.finalize();
            get(&found, name).map(|found| format!("{found}-{}", self.parts)).as_deref() != Some(value.trim())
        };
        self.digests.iter().find(is_other).map(|((name, _), _)| *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bytes: &[u8]) -> Checksum {
        let mut all = hasher(|_| true);
        all.update(bytes);
        all.finalize()
    }

    #[test]
    fn each_name_has_its_checksum() {
        let found = named(&of(b"hello"));
        assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), NAMES);
        assert_eq!(found[0].1, "NhCmhg==");
        assert_eq!(found[4].1, "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=");
        assert_eq!(different(&found, &of(b"hello")), None);
        assert_eq!(different(&found[3..], &of(b"jello")), Some("x-amz-checksum-sha1"));
        assert_eq!(different(&found[..1], &Checksum::default()), Some("x-amz-checksum-crc32"));
    }

    #[test]
    fn a_checksum_of_parts_is_that_of_their_checksums() {
        let digests = [b"a", b"b"].map(|bytes| STANDARD.decode(of(bytes).checksum_sha256.unwrap()).unwrap());
        let whole = of(&digests.concat()).checksum_sha256.unwrap();
        for (value, expected) in
            [(format!("{whole}-2"), None), (format!("{whole}-3"), Some(SHA256)), (whole, Some(SHA256))]
        {
            let mut parts = OfParts::new(&[(SHA256, value.clone())]);
            assert!(parts.wants(SHA256) && !parts.wants(SHA1));
            parts.push(&of(b"a"));
            parts.push(&of(b"b"));
            assert_eq!(parts.different(), expected, "{value}");
        }
        let both = Checksum {
            checksum_crc32: Some("NhCmhg==".to_owned()),
            checksum_sha256: Some("x-2".to_owned()),
            ..Checksum::default()
        };
        let whole = Whole::new(&both);
        assert_eq!((whole.of_bytes.len(), whole.of_parts.len()), (1, 1));
    }
}
