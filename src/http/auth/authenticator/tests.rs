//! Tokens: which count, which do not, and what their bearers may.

use super::*;
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256,
};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;
use tempfile::TempDir;

use crate::config::{IssuerAlgorithm, IssuerSettings, SubjectKind};
use crate::http::auth::sign_hs256;

const SECRET: &[u8] = b"a secret of more than thirty-two bytes";
const NOW_SECS: u64 = 1_800_000_000;
const NOW: Timestamp = Timestamp::from_millis(NOW_SECS * 1000);

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key pair: its public half in PEM, and how it signs.
fn key_pair(algorithm: IssuerAlgorithm) -> (Vec<u8>, Sign) {
    match algorithm {
        IssuerAlgorithm::HS256 => {
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET);
            (SECRET.to_vec(), Box::new(move |m| aws_lc_rs::hmac::sign(&key, m).as_ref().to_vec()))
        }
        IssuerAlgorithm::RS256 => {
            let pair = aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap();
            let public = pem(pair.public_key());
            let sign = move |message: &[u8]| {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            };
            (public, Box::new(sign))
        }
        IssuerAlgorithm::ES256 => {
            let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
            let public = pem(pair.public_key());
            let sign = move |m: &[u8]| pair.sign(&SystemRandom::new(), m).unwrap().as_ref().to_vec();
            (public, Box::new(sign))
        }
        IssuerAlgorithm::EdDSA => {
            let pair = Ed25519KeyPair::generate().unwrap();
            let public = pem(pair.public_key());
            (public, Box::new(move |message| pair.sign(message).as_ref().to_vec()))
        }
    }
}

fn pem(key: &impl AsDer<PublicKeyX509Der<'static>>) -> Vec<u8> {
    let text = STANDARD.encode(key.as_der().unwrap().as_ref());
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n")).into_bytes()
}

fn settings(dir: &TempDir, algorithm: IssuerAlgorithm, key: &[u8]) -> AuthSettings {
    let key_file = dir.path().join("key");
    std::fs::write(&key_file, key).unwrap();
    AuthSettings {
        issuers: vec![IssuerSettings {
            issuer: "https://issuer.example".to_owned(),
            audience: "files".to_owned(),
            algorithm,
            key_file,
            kid: None,
            roles_claim: "roles".to_owned(),
            subject: None,
        }],
    }
}

fn authenticator(algorithm: IssuerAlgorithm, key: &[u8]) -> Authenticator {
    let dir = TempDir::new().unwrap();
    Authenticator::from_config(&settings(&dir, algorithm, key)).unwrap()
}

fn token(header: &Value, claims: &Value, sign: &dyn Fn(&[u8]) -> Vec<u8>) -> String {
    let said = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
    format!("{said}.{}", URL_SAFE_NO_PAD.encode(sign(said.as_bytes())))
}

fn claims() -> Value {
    json!({"iss": "https://issuer.example", "aud": "files", "sub": "alice", "exp": NOW_SECS + 60})
}

/// The claims with some of them replaced; `null` leaves one out.
fn claims_with(changes: &Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn judged(token: &str) -> Result<Arc<Caller>, ErrorCode> {
    let authenticator = authenticator(IssuerAlgorithm::HS256, SECRET);
    authenticator.caller_of(token, NOW).map(|known| known.caller).map_err(|problem| problem.code())
}

fn check_claims(changes: Value, expected: Result<(), ErrorCode>) {
    let outcome = judged(&sign_hs256(SECRET, &claims_with(&changes))).map(drop);
    assert_eq!(outcome, expected, "{changes}");
}

const INVALID: Result<(), ErrorCode> = Err(ErrorCode::TokenInvalid);
const EXPIRED: Result<(), ErrorCode> = Err(ErrorCode::TokenExpired);

#[test]
fn a_token_stands_for_its_subject() {
    let caller = judged(&sign_hs256(SECRET, &claims())).unwrap();
    assert_eq!(caller.user, UserId::from_subject("https://issuer.example", "alice").unwrap());
    assert_eq!((caller.subject.as_str(), caller.role), ("alice", Role::User));
}

/// The user of a token with this `sub`, by an issuer with this setting.
fn user_of(sub: &str, subject: Option<SubjectKind>) -> String {
    let dir = TempDir::new().unwrap();
    let mut settings = settings(&dir, IssuerAlgorithm::HS256, SECRET);
    settings.issuers[0].subject = subject;
    let authenticator = Authenticator::from_config(&settings).unwrap();
    let token = sign_hs256(SECRET, &claims_with(&json!({"sub": sub})));
    authenticator.caller_of(&token, NOW).unwrap().caller.user.to_string()
}

#[test]
fn a_uuid_is_a_user_id_only_where_the_settings_say_so() {
    let uuid = "0199a3c4-0000-7000-8000-000000000001";
    let computed = UserId::from_subject("https://issuer.example", uuid).unwrap().to_string();
    assert_eq!(user_of(uuid, None), computed);
    assert_eq!(user_of(uuid, Some(SubjectKind::Name)), computed);
    assert_eq!(user_of(uuid, Some(SubjectKind::Uuid)), uuid);
    let victim = UserId::from_subject("https://issuer.example", "alice").unwrap().to_string();
    for subject in [None, Some(SubjectKind::Name), Some(SubjectKind::Uuid)] {
        assert_ne!(user_of(&victim, subject), victim, "{subject:?}");
    }
}

#[test]
fn every_needed_claim_is_needed() {
    for name in ["exp", "iss", "aud", "sub"] {
        check_claims(json!({name: null}), INVALID);
    }
    check_claims(json!({}), Ok(()));
}

#[test]
fn claims_must_say_what_the_issuer_says() {
    check_claims(json!({"iss": "https://other.example"}), INVALID);
    check_claims(json!({"iss": ["https://issuer.example"]}), INVALID);
    check_claims(json!({"aud": "other"}), INVALID);
    check_claims(json!({"aud": ["other", "files"]}), Ok(()));
    check_claims(json!({"aud": []}), INVALID);
    for sub in [json!(""), json!(7), json!("a\nb"), json!("x".repeat(256))] {
        check_claims(json!({"sub": sub}), INVALID);
    }
    check_claims(json!({"sub": "x".repeat(255)}), Ok(()));
}

#[test]
fn times_are_judged_with_ten_seconds_of_leeway() {
    check_claims(json!({"exp": NOW_SECS - 9}), Ok(()));
    check_claims(json!({"exp": NOW_SECS - 10}), EXPIRED);
    check_claims(json!({"exp": 1_799_999_991.5}), Ok(()));
    check_claims(json!({"exp": -1}), INVALID);
    check_claims(json!({"exp": "soon"}), INVALID);
    check_claims(json!({"nbf": NOW_SECS + 10}), Ok(()));
    check_claims(json!({"nbf": NOW_SECS + 11}), INVALID);
    check_claims(json!({"nbf": "soon"}), INVALID);
}

#[test]
fn a_token_is_expired_only_if_everything_else_is_right() {
    let past = json!({"exp": NOW_SECS - 60});
    check_claims(past.clone(), EXPIRED);
    check_claims(json!({"exp": NOW_SECS - 60, "aud": "other"}), INVALID);
    check_claims(json!({"exp": NOW_SECS - 60, "sub": ""}), INVALID);
    check_claims(json!({"exp": NOW_SECS - 60, "nbf": NOW_SECS + 60}), INVALID);
    let forged = sign_hs256(b"another secret of more than 32 bytes.", &claims_with(&past));
    assert_eq!(judged(&forged).map(drop), INVALID);
}

#[test]
fn the_strongest_role_counts() {
    for (roles, expected) in [
        (json!(["user", "admin"]), Role::Admin),
        (json!(["support"]), Role::Support),
        (json!("admin"), Role::User),
        (json!("support user"), Role::User),
        (json!(["support admin"]), Role::User),
        (json!([["admin"]]), Role::User),
        (json!(null), Role::User),
        (json!(["root", 7]), Role::User),
        (json!(["root", "admin"]), Role::Admin),
        (json!([1, "admin"]), Role::User),
        (json!([null, "admin"]), Role::User),
        (json!(["admin", ["admin"]]), Role::User),
        (json!({"admin": true}), Role::User),
        (json!([]), Role::User),
    ] {
        let token = sign_hs256(SECRET, &claims_with(&json!({"roles": roles})));
        assert_eq!(judged(&token).unwrap().role, expected, "{roles}");
    }
}

#[test]
fn a_repeated_claim_is_refused() {
    let (_, sign) = key_pair(IssuerAlgorithm::HS256);
    for (more, expected) in [
        (r#""roles": ["admin"]"#, Ok(())),
        (r#""roles": ["user"], "roles": ["admin"]"#, INVALID),
        (r#""roles": ["admin"], "roles": ["admin"]"#, INVALID),
        (r#""sub": "bob""#, INVALID),
        (r#""exp": 1900000000"#, INVALID),
    ] {
        let claims = claims().to_string();
        let claims = format!("{}, {more}}}", claims.strip_suffix('}').unwrap());
        let signed = [r#"{"alg": "HS256"}"#, &claims].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(sign(signed.as_bytes())));
        assert_eq!(judged(&token).map(drop), expected, "{more}");
    }
}

fn check_header(header: Value, expected: Result<(), ErrorCode>) {
    let (_, sign) = key_pair(IssuerAlgorithm::HS256);
    assert_eq!(judged(&token(&header, &claims(), &*sign)).map(drop), expected, "{header}");
}

#[test]
fn the_header_chooses_nothing() {
    check_header(json!({"alg": "HS256"}), Ok(()));
    for alg in ["none", "None", "HS384", "RS256", "ES256", "hs256"] {
        check_header(json!({"alg": alg}), INVALID);
    }
    check_header(json!({"alg": "HS256", "crit": ["exp"]}), INVALID);
    check_header(
        json!({"alg": "HS256", "jku": "https://evil.example/keys", "x5u": "https://evil.example"}),
        Ok(()),
    );
    for kid in ["../../etc/passwd", "a'b", "nul\0", &"x".repeat(129), "a b", ""] {
        check_header(json!({"alg": "HS256", "kid": kid}), INVALID);
    }
}

/// What becomes of a token with this `kid`, where the settings give the key this name.
fn check_kid(algorithm: IssuerAlgorithm, configured: Option<&str>, kid: Option<&str>, is_known: bool) {
    let (key, sign) = key_pair(algorithm);
    let dir = TempDir::new().unwrap();
    let mut settings = settings(&dir, algorithm, &key);
    settings.issuers[0].kid = configured.map(str::to_owned);
    let authenticator = Authenticator::from_config(&settings).unwrap();
    let mut header = json!({"alg": format!("{algorithm:?}")});
    if let Some(kid) = kid {
        header["kid"] = json!(kid);
    }
    for (exp, code) in [(NOW_SECS + 60, None), (NOW_SECS - 60, Some(ErrorCode::TokenExpired))] {
        let expected = if is_known { code } else { Some(ErrorCode::TokenInvalid) };
        let token = token(&header, &claims_with(&json!({"exp": exp})), &*sign);
        let judged = authenticator.caller_of(&token, NOW);
        assert_eq!(
            judged.err().map(|problem| problem.code()),
            expected,
            "{algorithm:?} {configured:?} {kid:?}"
        );
    }
}

#[test]
fn a_key_that_a_token_names_must_be_the_one_of_the_settings() {
    for algorithm in [IssuerAlgorithm::HS256, IssuerAlgorithm::ES256] {
        check_kid(algorithm, None, None, true);
        check_kid(algorithm, Some("2026-11:key_1"), None, true);
        check_kid(algorithm, Some("2026-11:key_1"), Some("2026-11:key_1"), true);
        check_kid(algorithm, Some("2026-11:key_1"), Some("2026-11:key_2"), false);
        check_kid(algorithm, None, Some("2026-11:key_1"), false);
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let good = sign_hs256(SECRET, &claims());
    let unsigned = format!("{}.", good.rsplit_once('.').unwrap().0);
    for bad in
        ["", ".", "..", "a.b.c", &unsigned, &format!("{good}A"), &format!("{good}."), &"x".repeat(9000)]
    {
        assert_eq!(judged(bad).map(drop), INVALID, "{bad}");
    }
}

#[test]
fn every_algorithm_verifies_its_own_and_no_other() {
    let all =
        [IssuerAlgorithm::HS256, IssuerAlgorithm::RS256, IssuerAlgorithm::ES256, IssuerAlgorithm::EdDSA];
    let pairs = all.map(|algorithm| (algorithm, key_pair(algorithm)));
    for (trusted, (key, _)) in &pairs {
        let authenticator = authenticator(*trusted, key);
        for (algorithm, (_, sign)) in &pairs {
            let header = json!({"alg": format!("{algorithm:?}")});
            let outcome = authenticator.caller_of(&token(&header, &claims(), &**sign), NOW);
            assert_eq!(outcome.is_ok(), trusted == algorithm, "{algorithm:?} for {trusted:?}");
        }
    }
}

#[test]
fn a_public_key_is_no_secret() {
    for algorithm in [IssuerAlgorithm::RS256, IssuerAlgorithm::ES256, IssuerAlgorithm::EdDSA] {
        let (public, _) = key_pair(algorithm);
        let forged = sign_hs256(&public, &claims());
        assert!(authenticator(algorithm, &public).caller_of(&forged, NOW).is_err(), "{algorithm:?}");
        let dir = TempDir::new().unwrap();
        let confused = Authenticator::from_config(&settings(&dir, IssuerAlgorithm::HS256, &public));
        assert!(matches!(confused, Err(AuthConfigError::WrongKey { .. })), "{algorithm:?}");
    }
}

#[test]
fn a_remembered_token_ends_when_it_ends() {
    let authenticator = authenticator(IssuerAlgorithm::HS256, SECRET);
    let token = sign_hs256(SECRET, &claims());
    let at = |secs: u64| {
        let now = Timestamp::from_millis((NOW_SECS + secs) * 1000);
        authenticator.caller_of(&token, now).map(drop).map_err(|problem| problem.code())
    };
    assert_eq!([at(0), at(1), at(69)], [Ok(()), Ok(()), Ok(())]);
    assert_eq!(at(70), EXPIRED);
    let [first, again] = [(); 2].map(|()| authenticator.caller_of(&token, NOW).unwrap());
    assert!(Arc::ptr_eq(&first.caller, &again.caller), "it is not verified again");
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let dir = TempDir::new().unwrap();
    let good = settings(&dir, IssuerAlgorithm::HS256, SECRET);
    let refused = |edit: &dyn Fn(&mut AuthSettings)| {
        let mut settings = good.clone();
        edit(&mut settings);
        Authenticator::from_config(&settings).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(refused(&|s| s.issuers[0].key_file = dir.path().join("none")).contains("cannot read"));
    assert!(refused(&|s| s.issuers.push(s.issuers[0].clone())).contains("twice"));
    let another = |s: &mut AuthSettings, subject| {
        let issuer = "https://other.example".to_owned();
        s.issuers.push(IssuerSettings { issuer, subject, ..s.issuers[0].clone() });
    };
    assert!(refused(&|s| another(s, Some(SubjectKind::Name))).contains("needs a subject"));
    let both = |s: &mut AuthSettings| {
        s.issuers[0].subject = Some(SubjectKind::Uuid);
        another(s, Some(SubjectKind::Uuid));
    };
    assert!(refused(&both).contains("both have subject"));
    assert!(refused(&|s| s.issuers[0].audience = String::new()).contains("audience"));
    assert!(refused(&|s| s.issuers[0].algorithm = IssuerAlgorithm::ES256).contains("PEM"));
    std::fs::write(dir.path().join("short"), "short").unwrap();
    assert!(refused(&|s| s.issuers[0].key_file = dir.path().join("short")).contains("32 bytes"));
    assert_eq!(refused(&|_| ()), "");
}
