//! `POST /api/captchas`, and what becomes of a captcha.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::{Ask as _, keys, on_both_databases};

on_both_databases! {
    async fn a_captcha_is_a_jpeg_that_expires_in_three_minutes(host: TestHost) {
        let answer = host.post("/api/captchas?username=velit").answer().await;
        assert_eq!((answer.code(), answer.message()), (20001, "操作成功".to_owned()));
        let data = answer.data();
        assert_eq!(keys(&data), ["captcha_key", "expired_at", "captcha_image_content"]);
        let key = data["captcha_key"].as_str().expect("a key").strip_prefix("captcha-").expect("its prefix").to_owned();
        assert!(key.len() == 15 && key.chars().all(|c| c.is_ascii_alphanumeric()), "{key}");
        // 2023-11-14T22:13:20Z and 180 seconds, in Shanghai.
        assert_eq!(data["expired_at"], "2023-11-15 06:16:20");
        let picture = data["captcha_image_content"].as_str().and_then(|text| text.strip_prefix("data:image/jpeg;base64,"));
        let picture = STANDARD.decode(picture.expect("a data URI")).expect("base64");
        assert_eq!(jpeg_size(&picture), Some((150, 40)));
    }

    async fn codes_have_five_characters_and_no_zero(host: TestHost) {
        for _ in 0..20 {
            let (_, code) = host.captcha().await;
            assert_eq!(code.len(), 5);
            assert!(code.chars().all(|c| c.is_ascii_alphanumeric() && c != '0' && c != 'o'), "{code}");
        }
    }

    async fn a_captcha_is_taken_by_a_right_answer(host: TestHost) {
        let inputs = host.registration("firstuser").await;
        assert_eq!(host.post("/api/auth/register").query(&inputs).answer().await.code(), 20001);
        let again = host.post("/api/auth/register").query(&inputs).answer().await;
        again.assert_envelope(json!(inputs[6].1), 10003, "验证码无效");
    }

    async fn a_captcha_is_taken_by_a_wrong_answer(host: TestHost) {
        let mut inputs = host.registration("firstuser").await;
        let right = std::mem::replace(&mut inputs[6].1, "wrong".into());
        let wrong = host.post("/api/auth/register").query(&inputs).answer().await;
        wrong.assert_envelope(json!("wrong"), 10003, "验证码错误");
        inputs[6].1.clone_from(&right);
        let late = host.post("/api/auth/register").query(&inputs).answer().await;
        late.assert_envelope(json!(right), 10003, "验证码无效");
    }

    async fn case_does_not_count(host: TestHost) {
        let mut inputs = host.registration("firstuser").await;
        inputs[6].1 = inputs[6].1.to_uppercase();
        assert_eq!(host.post("/api/auth/register").query(&inputs).answer().await.code(), 20001);
        let mut inputs = host.registration("seconduser").await;
        inputs[6].1 = inputs[6].1.to_lowercase();
        assert_eq!(host.post("/api/auth/register").query(&inputs).answer().await.code(), 20001);
    }

    async fn a_captcha_expires_when_it_says(host: TestHost) {
        let inputs = host.registration("firstuser").await;
        let in_time = host.registration("seconduser").await;
        host.clock.advance(179);
        assert_eq!(host.post("/api/auth/register").query(&in_time).answer().await.code(), 20001);
        host.clock.advance(1);
        let late = host.post("/api/auth/register").query(&inputs).answer().await;
        late.assert_envelope(json!(inputs[6].1), 10003, "验证码无效");
    }

    async fn of_a_hundred_at_once_one_takes_it(host: TestHost) {
        let inputs = host.registration("firstuser").await;
        let attempts = (0..100).map(|number| {
            let mut inputs = inputs.clone();
            inputs[1].1 = format!("username{number}");
            host.post("/api/auth/register").query(&inputs).answer()
        });
        let answers = futures_util::future::join_all(attempts).await;
        let codes: Vec<i64> = answers.iter().map(crate::support::Answer::code).collect();
        assert_eq!(codes.iter().filter(|code| **code == 20001).count(), 1, "{codes:?}");
        assert_eq!(codes.iter().filter(|code| **code == 10003).count(), 99, "{codes:?}");
    }
}

/// Width and height from a JPEG's start-of-frame marker (ITU-T T.81, B.2.2).
fn jpeg_size(picture: &[u8]) -> Option<(u16, u16)> {
    let mut at = 2;
    while let Some([0xFF, marker, high, low, ..]) = picture.get(at..) {
        if matches!(marker, 0xC0..=0xC2) {
            let size = picture.get(at + 5..at + 9)?;
            return Some((
                u16::from_be_bytes([size[2], size[3]]),
                u16::from_be_bytes([size[0], size[1]]),
            ));
        }
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    None
}
