use super::*;

const JSON: Option<&str> = Some("application/json");
const HTML: Option<&str> = Some("text/html; charset=utf-8");

/// As `token.rs` has it, without the network.
fn judged(asked: Asked, reply: Reply) -> Outcome {
    Outcome::of(asked, reply)
}

/// In one line: what it is, whether the request may have been heard, and what is to be kept.
fn verdict(status: u16, kind: Option<&str>, body: &str) -> String {
    in_one_line(judged(Asked::ByRefreshToken, Reply::made(status, kind, body.as_bytes())))
}

fn in_one_line(outcome: Outcome) -> String {
    let kept = |token: &Option<SecretString>| {
        token.as_ref().map(|token| format!(" keep {}", token.expose_secret())).unwrap_or_default()
    };
    match outcome {
        Outcome::Granted(grant) => format!("granted{}", kept(&grant.refresh_token)),
        Outcome::Rejected(error) => format!("rejected {}", error.error),
        Outcome::Refused(error) => format!("refused {}", error.error),
        Outcome::Unreachable(Unreachable { sent, salvaged, .. }) => {
            format!("{sent:?}{}", kept(&salvaged))
        }
    }
}

#[test]
fn a_grant_is_recognised_in_all_its_shapes() {
    for (kind, body, expected) in [
        (
            JSON,
            r#"{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r2"}"#,
            "granted keep r2",
        ),
        (JSON, r#"{"access_token":"a","token_type":"bearer","expires_in":"3600"}"#, "granted"),
        (JSON, r#"{"access_token":"a","token_type":"BEARER"}"#, "granted"),
        (JSON, r#"{"access_token":"a"}"#, "granted"),
        (None, r#"{"access_token":"a"}"#, "granted"),
        (Some("Application/JSON;charset=UTF-8"), r#"{"access_token":"a"}"#, "granted"),
        (JSON, r#"{"access_token":"a","refresh_token":null,"scope":null,"id_token":null}"#, "granted"),
        (JSON, r#"{"access_token":"a","refresh_token":""}"#, "granted"),
        (JSON, r#"{"access_token":"a","expires_in":1e99,"refresh_token":"r2"}"#, "granted keep r2"),
        (
            JSON,
            r#"{"access_token":"a","access_token":"b","refresh_token":"r1","refresh_token":"r2"}"#,
            "granted keep r2",
        ),
        (JSON, r#"{"access_token":"a","scope":["x","y"],"extra":{"deep":[1,2,{}]}}"#, "granted"),
        (JSON, "\r\n {\"access_token\":\"a\"} \n", "granted"),
    ] {
        assert_eq!(verdict(200, kind, body), expected, "{body}");
    }
}

#[test]
fn the_refresh_token_of_an_odd_answer_is_kept() {
    for (status, kind, body, expected) in [
        (200, JSON, r#"{"access_token":"a","expires_in":0,"refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":"a","expires_in":-5,"refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":"a","token_type":"mac","refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":"a","token_type":"DPoP"}"#, "Answered"),
        (200, JSON, r#"{"access_token":"a\r\nX: y","refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":"a\u0000","refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":"ü","refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":"","refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"access_token":7,"refresh_token":"r2"}"#, "Answered keep r2"),
        (200, JSON, r#"{"refresh_token":"r2","access_token":"a"#, "Answered keep r2"),
        (200, JSON, r#"{"refresh_token" : "r\u0032", "x": <"#, "Answered keep r2"),
        (200, Some("text/plain"), r#"{"access_token":"a","refresh_token":"r2"}"#, "Answered keep r2"),
        (201, JSON, r#"{"access_token":"a","refresh_token":"r2"}"#, "Answered keep r2"),
    ] {
        assert_eq!(verdict(status, kind, body), expected, "{body}");
    }
}

#[test]
fn an_answer_that_means_nothing_may_have_spent_the_token() {
    let deep = "[".repeat(200_000);
    for (kind, body) in [
        (JSON, ""),
        (JSON, "{}"),
        (JSON, "[]"),
        (JSON, "null"),
        (JSON, "not json"),
        (JSON, r#"{"access_token":"#),
        (JSON, r#"{"access_token":"a","refresh_token":"half"#),
        (JSON, r#"["refresh_token","r2"]"#),
        (JSON, r#"{"refresh_token":["r2"]}"#),
        (JSON, deep.as_str()),
        (HTML, "<html>Please sign in to the hotel's network</html>"),
        (HTML, r#"<script>x = {"refresh_token":"r2"}</script>"#),
        (None, ""),
    ] {
        assert_eq!(verdict(200, kind, body), "Maybe", "{body:.80}");
    }
    let latin = judged(Asked::ByRefreshToken, Reply::made(200, JSON, b"{\"refresh_token\":\"r\xff\"}"));
    assert_eq!(in_one_line(latin), "Maybe", "a damaged token is none");
}

#[test]
fn only_the_issuers_own_words_end_a_session() {
    for (status, body, expected) in [
        (400, r#"{"error":"invalid_grant"}"#, "rejected invalid_grant"),
        (401, r#"{"error":"invalid_grant","error_description":"gone"}"#, "rejected invalid_grant"),
        (400, r#"{"error":"interaction_required"}"#, "rejected interaction_required"),
        (400, r#"{"error":"login_required"}"#, "rejected login_required"),
        (403, r#"{"error":"consent_required"}"#, "rejected consent_required"),
        (
            400,
            r#"{"error":"invalid_request","error_description":"Refresh token is invalid"}"#,
            "rejected invalid_request",
        ),
        (400, r#"{"error":"invalid_request","error_description":"bad"}"#, "refused invalid_request"),
        (400, r#"{"error":"invalid request"}"#, "refused invalid request"),
        (401, r#"{"error":"invalid_client"}"#, "refused invalid_client"),
        (400, r#"{"error":"unauthorized_client"}"#, "refused unauthorized_client"),
        (400, r#"{"error":"invalid_scope","error_description":null}"#, "refused invalid_scope"),
        (
            400,
            r#"{"error":"unsupported_grant_type","error_description":7}"#,
            "refused unsupported_grant_type",
        ),
        (400, r#"{"error":"temporarily_unavailable"}"#, "Answered"),
        (400, r#"{"error":"server_error"}"#, "Answered"),
    ] {
        assert_eq!(verdict(status, JSON, body), expected, "{body}");
    }
}

#[test]
fn nobody_else_can_end_a_session() {
    for (status, kind, body) in [
        (200, JSON, r#"{"error":"invalid_grant"}"#),
        (500, JSON, r#"{"error":"invalid_grant"}"#),
        (503, JSON, r#"{"error":"invalid_grant"}"#),
        (429, JSON, r#"{"error":"invalid_grant"}"#),
        (404, JSON, r#"{"error":"invalid_grant"}"#),
        (302, JSON, r#"{"error":"invalid_grant"}"#),
        (400, HTML, r#"{"error":"invalid_grant"}"#),
        (400, None, r#"{"error":"invalid_grant"}"#),
        (400, JSON, r#"{"error":["invalid_grant"]}"#),
        (400, JSON, r#"["invalid_grant"]"#),
        (400, JSON, r#"{"error":""}"#),
        (400, JSON, r#"{"error":"a\"b"}"#),
        (400, JSON, r#"{"error":"invalid_grant\n"}"#),
        (400, JSON, r#"{"errorCode":"invalid_grant"}"#),
        (400, JSON, r#"{"error":"invalid_gr"#),
        (403, HTML, "<html>blocked by your administrator</html>"),
        (307, None, ""),
        (502, HTML, r#"<html>"refresh_token":"r2"</html>"#),
        (500, JSON, r#"{"access_token":"a","refresh_token":"r2"}"#),
    ] {
        assert_eq!(verdict(status, kind, body), "Answered", "{status} {body}");
    }
}

#[test]
fn databricks_words_for_a_spent_refresh_token_do_not_count_for_a_code() {
    let said = br#"{"error":"invalid_request","error_description":"Refresh token is invalid"}"#;
    let outcome = judged(Asked::ByCode, Reply::made(400, JSON, said));
    assert!(matches!(outcome, Outcome::Refused(_)));
}

#[test]
fn github_is_known_by_its_own_words() {
    for (status, body, expected) in [
        (200, r#"{"error":"bad_refresh_token","error_description":"x"}"#, "rejected bad_refresh_token"),
        (200, r#"{"error":"bad_verification_code"}"#, "rejected bad_verification_code"),
        (200, r#"{"error":"unverified_user_email"}"#, "rejected unverified_user_email"),
        (200, r#"{"error":"incorrect_client_credentials"}"#, "refused incorrect_client_credentials"),
        (200, r#"{"error":"redirect_uri_mismatch"}"#, "refused redirect_uri_mismatch"),
        (400, r#"{"error":"bad_refresh_token"}"#, "rejected bad_refresh_token"),
        (200, r#"{"error":"invalid_client"}"#, "Answered"),
        (200, r#"{"error":"bad_refresh_token","refresh_token":"r2","access_token":"a"}"#, "granted keep r2"),
        (500, r#"{"error":"bad_refresh_token"}"#, "Answered"),
    ] {
        assert_eq!(verdict(status, JSON, body), expected, "{body}");
    }
    assert_eq!(verdict(200, HTML, r#"{"error":"bad_refresh_token"}"#), "Maybe");
}

#[test]
fn no_person_can_help_a_machine() {
    for error in ["invalid_grant", "interaction_required", "invalid_client", "bad_verification_code"] {
        let said = format!(r#"{{"error":"{error}"}}"#);
        let outcome = judged(Asked::AsMachine, Reply::made(400, JSON, said.as_bytes()));
        assert!(matches!(outcome, Outcome::Refused(_)), "{error}");
    }
}

#[test]
fn an_answer_that_breaks_off_is_no_verdict() {
    let cut = |status, body: &[u8]| {
        let reply = Reply { cut: Some("too slow".into()), ..Reply::made(status, JSON, body) };
        in_one_line(judged(Asked::ByRefreshToken, reply))
    };
    assert_eq!(cut(400, br#"{"error":"invalid_grant"}"#), "Answered");
    assert_eq!(cut(200, br#"{"access_token":"a","refresh_token":"r2"}"#), "Answered keep r2");
    assert_eq!(cut(200, br#"{"access_token":"a","refresh_token":"r2"#), "Maybe");
}

#[test]
fn a_wait_is_passed_on_and_the_reason_is_short() {
    let reply = Reply { retry_after: Some(Duration::from_secs(30)), ..Reply::made(429, HTML, b"canary") };
    let Outcome::Unreachable(found) = judged(Asked::ByRefreshToken, reply) else { panic!() };
    assert_eq!(found.retry_after, Some(Duration::from_secs(30)));
    assert_eq!(found.why, "the token endpoint answered with a web page (429)");
}

#[test]
fn what_an_issuer_says_is_made_safe_to_show() {
    let long = format!(r#"{{"error":"invalid_grant","error_description":"\u001b[2J{}"}}"#, "x".repeat(1000));
    let Outcome::Rejected(error) = judged(Asked::ByCode, Reply::made(400, JSON, long.as_bytes())) else {
        panic!()
    };
    let description = error.description.unwrap();
    assert!(description.starts_with(" [2Jxxx") && description.len() == 300, "{description}");
}

#[test]
fn nothing_secret_shows_in_an_outcome() {
    for body in [
        r#"{"access_token":"canary","refresh_token":"canary","id_token":"canary"}"#,
        r#"{"access_token":"canary","expires_in":0,"refresh_token":"canary"}"#,
        r#"{"refresh_token":"canary","access_token":"canary"#,
    ] {
        let shown = format!("{:?}", judged(Asked::ByCode, Reply::made(200, JSON, body.as_bytes())));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
