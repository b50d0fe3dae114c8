//! Certificates: what is taken, what is refused, and that it comes back byte for byte.

use image::ImageFormat;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::json;

use crate::support::{Answer, Ask as _, TestHost, files, on_both_databases};

async fn upload(host: &TestHost, token: &str, name: &str, content: Vec<u8>) -> Answer {
    let part = Part::bytes(content).file_name(name.to_owned());
    let form = Form::new().text("note", "before").part("certificate", part);
    host.post("/api/doctor/certificate/upload").multipart(form).bearer_auth(token).answer().await
}

/// Sends a body as it stands.
async fn send(host: &TestHost, token: &str, kind: &str, body: Vec<u8>) -> Answer {
    let request = host.post("/api/doctor/certificate/upload").bearer_auth(token);
    request.header("content-type", kind).body(body).answer().await
}

/// A multipart body with one file, which ends as it is told to.
fn multipart(name: &str, content: &[u8], end: &str) -> Vec<u8> {
    let head = format!(
        "--x\r\ncontent-disposition: form-data; name=\"certificate\"; filename=\"{name}\"\r\n\r\n"
    );
    [head.as_bytes(), content, end.as_bytes()].concat()
}

/// A picture whose head announces 50,000 × 50,000 pixels.
fn immense(format: ImageFormat) -> Vec<u8> {
    let mut bytes = files::picture(format, 8, 8);
    let at = match format {
        ImageFormat::Png => 16,
        ImageFormat::Bmp => 18,
        _ => bytes.windows(2).position(|pair| pair == [0xFF, 0xC0]).expect("a frame") + 5,
    };
    let edge = 50_000_u32;
    match format {
        ImageFormat::Png => {
            bytes[at..at + 8].copy_from_slice(&[edge.to_be_bytes(), edge.to_be_bytes()].concat());
        }
        ImageFormat::Bmp => {
            bytes[at..at + 8].copy_from_slice(&[edge.to_le_bytes(), edge.to_le_bytes()].concat());
        }
        _ => bytes[at..at + 4].copy_from_slice(&[0xC3, 0x50, 0xC3, 0x50]),
    }
    bytes
}

on_both_databases! {
    async fn a_certificate_comes_back_byte_for_byte(host: TestHost) {
        let token = host.doctor("demo").await;
        let download = || host.get("/api/doctor/certificate").bearer_auth(&token);
        assert_eq!(download().answer().await.body, "null");
        for (name, content, extension, kind) in [
            ("photo.jpg", files::picture(ImageFormat::Jpeg, 400, 300), "jpg", "image/jpeg"),
            ("photo.png", files::png(400, 300), "png", "image/png"),
            ("photo.bmp", files::picture(ImageFormat::Bmp, 40, 30), "bmp", "image/bmp"),
            ("scan.pdf", files::pdf(3_000_000), "pdf", "application/pdf"),
            // What it is counts, not what it is called.
            ("photo.exe", files::png(40, 30), "png", "image/png"),
        ] {
            let uploaded = upload(&host, &token, name, content.clone()).await;
            let path = uploaded.json()["path"].as_str().unwrap_or_else(|| panic!("{uploaded:?}")).to_owned();
            assert_eq!((uploaded.status.as_u16(), uploaded.body), (200, format!(r#"{{"message":"上传成功","path":"{path}"}}"#)));
            let file = path.strip_prefix("certificate/").expect("the folder");
            let (random, ending) = file.split_once('.').expect("an extension");
            assert!(random.len() == 40 && random.bytes().all(|byte| byte.is_ascii_alphanumeric()) && ending == extension, "{path}");

            let response = download().send().await.expect("an answer");
            let header = |name: &str| response.headers()[name].to_str().expect("text").to_owned();
            assert_eq!((header("content-type"), header("content-length")), (kind.to_owned(), content.len().to_string()));
            assert_eq!((header("content-disposition"), header("x-content-type-options")), (format!("attachment; filename={file}"), "nosniff".to_owned()));
            assert_eq!(response.bytes().await.expect("the file"), content);
            let head = host.request(reqwest::Method::HEAD, "/api/doctor/certificate").bearer_auth(&token).answer().await;
            assert_eq!((head.header("content-length"), head.body.as_str()), (content.len().to_string().as_str(), ""));
            let me = host.post("/api/auth/me").bearer_auth(&token).answer().await.json();
            assert_eq!((&me["certificat"], &me["certificate"], &me["certificat_checked"]), (&json!(path), &json!(path), &json!(1)));
        }
        // Earlier files are kept; nobody else gets any.
        assert_eq!(host.blobs().len(), 5);
        let other = host.doctor("other").await;
        assert_eq!(host.get("/api/doctor/certificate").bearer_auth(&other).answer().await.body, "null");
    }
}

#[expect(clippy::too_many_lines, reason = "it is a table")]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_certificate_is_refused_and_leaves_nothing() {
    let host = TestHost::on_sqlite().await;
    let token = host.doctor("demo").await;
    let form = "multipart/form-data; boundary=x";
    let png = files::png(400, 300);
    let end = "\r\n--x--\r\n";
    let empty = "certificate 不能为空。";
    let broken = "certificate 文件已损坏。";
    let part = multipart("a.png", &png, "\r\n");
    for (what, kind, body, message) in [
        (
            "the document's own sample",
            "application/json",
            br#"{"certificate":"soluta"}"#.to_vec(),
            "certificate 必须是文件。",
        ),
        ("text that is no JSON", "application/json", b"[object Object]".to_vec(), empty),
        ("nothing", "", Vec::new(), empty),
        ("no boundary", "multipart/form-data", multipart("a.png", &png, end), empty),
        (
            "another boundary",
            "multipart/form-data; boundary=y",
            multipart("a.png", &png, end),
            empty,
        ),
        ("a part that is not closed", form, multipart("a.png", &png, ""), empty),
        (
            "10,000 parts",
            form,
            [
                part.repeat(3),
                multipart("a.png", b"", "\r\n").repeat(10_000),
                multipart("a.png", &png, end),
            ]
            .concat(),
            empty,
        ),
        ("an empty file", form, multipart("a.png", b"", end), empty),
        (
            "a wrong type",
            form,
            multipart("a.png", b"GIF89a\x01\x00\x01\x00", end),
            "certificate 必须是一个 jpg, png, bmp, pdf 类型的文件。",
        ),
        (
            "a page",
            form,
            multipart("a.png", b"<html><script>alert(1)</script>", end),
            "certificate 必须是一个 jpg, png, bmp, pdf 类型的文件。",
        ),
        ("a truncated PNG", form, multipart("a.png", &png[..png.len() / 2], end), broken),
        (
            "a truncated JPEG",
            form,
            multipart("a.jpg", &files::picture(ImageFormat::Jpeg, 400, 300)[..2000], end),
            broken,
        ),
        (
            "a truncated BMP",
            form,
            multipart("a.bmp", &files::picture(ImageFormat::Bmp, 40, 30)[..2000], end),
            broken,
        ),
        ("a truncated PDF", form, multipart("a.pdf", &files::pdf(2000)[..1500], end), broken),
        (
            "an immense PNG",
            form,
            multipart("a.png", &immense(ImageFormat::Png), end),
            "certificate 图片尺寸不正确。",
        ),
        (
            "an immense JPEG",
            form,
            multipart("a.jpg", &immense(ImageFormat::Jpeg), end),
            "certificate 图片尺寸不正确。",
        ),
        (
            "an immense BMP",
            form,
            multipart("a.bmp", &immense(ImageFormat::Bmp), end),
            "certificate 图片尺寸不正确。",
        ),
        ("a path", form, multipart("../a.png", &png, end), "certificate 文件名不正确。"),
        ("a Windows path", form, multipart("..\\\\a.png", &png, end), "certificate 文件名不正确。"),
        (
            "a file in another field",
            form,
            multipart("a.png", &png, end)
                .iter()
                .map(|byte| if *byte == b'f' { b'F' } else { *byte })
                .collect(),
            empty,
        ),
    ] {
        let answer = send(&host, &token, kind, body).await;
        let expected = json!({ "message": "The given data was invalid.", "errors": { "certificate": [message] } });
        assert_eq!(
            (answer.status, answer.json()),
            (StatusCode::UNPROCESSABLE_ENTITY, expected),
            "{what}"
        );
    }
    assert_eq!(host.blobs(), Vec::<String>::new());
    assert_eq!(host.get("/api/doctor/certificate").bearer_auth(&token).answer().await.body, "null");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_have_a_largest_size_which_operators_set() {
    let host = TestHost::on_sqlite().await;
    let token = host.doctor("demo").await;
    let most = 5 * 1024 * 1024;
    let pdf = |bytes: usize| {
        let mut content = files::pdf(bytes - 20);
        let padding = bytes - content.len();
        content.extend(std::iter::repeat_n(b' ', padding));
        content
    };
    assert_eq!(upload(&host, &token, "a.pdf", pdf(most)).await.status, 200);
    let refused = upload(&host, &token, "a.pdf", pdf(most + 1)).await;
    assert_eq!(
        (refused.status.as_u16(), &refused.json()["errors"]["certificate"][0]),
        (422, &json!("certificate 不能大于 5120 KB。"))
    );
    assert_eq!(upload(&host, &token, "a.pdf", pdf(most + 100_000)).await.status, 413);

    let small = TestHost::with(|config| {
        let group = config.groups.entry("certificates".into()).or_default();
        group.settings.insert("bytes".into(), "1000".into());
    })
    .await;
    let token = small.doctor("demo").await;
    assert_eq!(upload(&small, &token, "a.pdf", pdf(1000)).await.status, 200);
    assert_eq!(upload(&small, &token, "a.pdf", pdf(1001)).await.status, 422);

    // The store has a limit as well, which no component can pass.
    let narrow = TestHost::with(|config| config.blobs.bytes = 1000).await;
    let token = narrow.doctor("demo").await;
    assert_eq!(upload(&narrow, &token, "a.pdf", pdf(1000)).await.status, 200);
    assert_eq!(upload(&narrow, &token, "a.pdf", pdf(1001)).await.status, 413);
    assert_eq!(narrow.blobs().len(), 1);
}
