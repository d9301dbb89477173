//! What is right stays, what is not is replaced, what others set is kept.

use super::*;

fn rules(origins: &[&str]) -> BucketRules {
    BucketRules {
        allowed_origins: origins.iter().map(|origin| (*origin).to_owned()).collect(),
        abort_after_days: 2,
        signature_age_max_secs: 900,
        is_policed: true,
        is_tls_only: true,
    }
}

/// Applies a rule to a list until it is right; returns the list, which must be right after one change.
fn settled<T: Clone>(now: &[T], rule: impl Fn(&[T]) -> Option<Vec<T>>) -> Vec<T> {
    let Some(changed) = rule(now) else { return now.to_vec() };
    assert!(rule(&changed).is_none(), "a second change");
    changed
}

#[test]
fn pages_get_one_rule_and_those_of_others_stay() {
    let theirs = CorsRule::builder().allowed_methods("GET").allowed_origins("*").build().unwrap();
    let with = |now: &[CorsRule], origins: &[&str]| settled(now, |now| cors(now, &rules(origins)));
    assert_eq!(with(&[], &[]), []);
    let one = with(&[], &["https://a.example"]);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].allowed_origins(), ["https://a.example"]);
    for name in ["traceparent", "baggage", "range", "if-range", "content-type", "x-amz-*"] {
        assert!(one[0].allowed_headers().iter().any(|allowed| allowed == name), "{name}");
    }
    for name in ["ETag", "Content-Range", "Accept-Ranges", "Content-Disposition", "Last-Modified"] {
        assert!(one[0].expose_headers().iter().any(|exposed| exposed == name), "{name}");
    }
    let two = with(&[theirs.clone(), one[0].clone()], &["https://b.example"]);
    assert_eq!((two.len(), &two[0]), (2, &theirs));
    assert_eq!(two[1].allowed_origins(), ["https://b.example"]);
    assert_eq!(with(&two, &[]), [theirs], "without pages our rule goes");
}

#[test]
fn uploads_that_nobody_completes_are_given_up() {
    let theirs = LifecycleRule::builder().id("theirs").status(ExpirationStatus::Disabled).build().unwrap();
    let life = settled(std::slice::from_ref(&theirs), |now| lifecycle(now, &rules(&[])));
    assert_eq!((life.len(), &life[0]), (2, &theirs));
    let abort = life[1].abort_incomplete_multipart_upload().unwrap();
    assert_eq!(abort.days_after_initiation(), Some(2));
    assert_eq!(life[1].filter().and_then(LifecycleRuleFilter::prefix), Some("user/"));
    let longer = BucketRules { abort_after_days: 9, ..rules(&[]) };
    assert_eq!(settled(&life, |now| lifecycle(now, &longer)).len(), 2, "replaced, not added");
}

#[test]
fn the_queue_is_told_of_what_comes_and_goes_below_our_prefix() {
    let theirs = QueueConfiguration::builder()
        .id("theirs")
        .queue_arn("arn:theirs")
        .events(Event::S3ObjectTagging)
        .build()
        .unwrap();
    let told = settled(std::slice::from_ref(&theirs), |now| queues(now, "arn:ours"));
    assert_eq!((told.len(), &told[0]), (2, &theirs));
    assert_eq!(told[1].events(), [Event::S3ObjectCreated, Event::S3ObjectRemoved]);

    let mut as_aws_shows_it = told[1].clone();
    as_aws_shows_it.events.reverse();
    let prefix = FilterRule::builder().name(FilterRuleName::from("Prefix")).value("user/").build();
    let filter = S3KeyFilter::builder().filter_rules(prefix).build();
    as_aws_shows_it.filter = Some(NotificationConfigurationFilter::builder().key(filter).build());
    assert_eq!(queues(&[as_aws_shows_it.clone()], "arn:ours"), None);

    let mut narrower = as_aws_shows_it.clone();
    narrower.events.truncate(1);
    assert_eq!(queues(&[narrower], "arn:ours").map(|told| told.len()), Some(1));
    assert_eq!(queues(&[as_aws_shows_it], "arn:another").map(|told| told.len()), Some(1));
}

#[test]
fn a_policy_denies_and_keeps_what_others_said() {
    let arn = "arn:aws:s3:::files";
    let theirs = r#"{"Sid":"theirs","Effect":"Allow"}"#;
    let names = |policy: &str| -> Vec<String> {
        let policy: Value = serde_json::from_str(policy).unwrap();
        let sids =
            policy["Statement"].as_array().unwrap().iter().map(|s| s["Sid"].as_str().unwrap().to_owned());
        sids.collect()
    };
    let ours = ["WharfingerTlsOnly", "WharfingerNoReplace", "WharfingerFreshSignature"];
    let first = policy(None, arn, &rules(&[])).unwrap();
    assert_eq!(names(&first), ours);
    assert_eq!(policy(Some(&first), arn, &rules(&[])), None);
    let beside = policy(Some(&format!(r#"{{"Statement":{theirs}}}"#)), arn, &rules(&[])).unwrap();
    assert_eq!(names(&beside), ["theirs", ours[0], ours[1], ours[2]]);
    assert_eq!(policy(Some(&beside), arn, &rules(&[])), None);
    let plain = BucketRules { is_tls_only: false, ..rules(&[]) };
    assert_eq!(names(&policy(Some(&beside), arn, &plain).unwrap()), ["theirs", ours[1], ours[2]]);
    assert!(first.contains(r#""s3:signatureAge":"900000""#), "{first}");
    assert!(first.contains(r#""arn:aws:s3:::files/user/*""#), "{first}");
}

#[test]
fn a_notification_without_receivers_is_empty_whatever_it_is_called() {
    let check = |xml: &str, expected| assert_eq!(names_a_receiver(xml), expected, "{xml}");
    check("<GetBucketNotificationResponse xmlns=\"x\"/>", false);
    check("<NotificationConfiguration/>", false);
    check("<A><QueueConfiguration><Id>a</Id></QueueConfiguration></A>", true);
    check("<A><EventBridgeConfiguration/></A>", true);
}
