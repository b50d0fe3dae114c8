//! The realm `clinic`: a doctor's certificate, as a picture or a PDF.

use wharf_kit::chance::{self, LETTERS_AND_DIGITS};
use wharf_kit::prelude::*;
use wharf_kit::{File, Parameter, blobs};
use wharf_realms::clinic::{CLINIC, Doctor, Errors};
use wharf_realms::media::{self, Kind, Refusal};

/// Bytes of a certificate, unless the operator says otherwise.
const LARGEST: u32 = 5 * 1024 * 1024;

/// What an operator may set at most: the file must fit into the component's memory twice.
const LARGEST_SETTING: u32 = 20 * 1024 * 1024;

/// What a form has besides the file.
const FORM: u32 = 64 * 1024;

/// Bytes of a certificate at most, from the setting `bytes`.
fn largest() -> u32 {
    let setting = settings::get("bytes").and_then(|bytes| bytes.parse().ok());
    setting.unwrap_or(LARGEST).min(LARGEST_SETTING)
}

fn body_limit() -> u32 {
    let largest = largest();
    if let Some(said) = settings::get("bytes")
        && said.parse() != Ok(largest)
    {
        wharf_kit::warn!(
            "groups.certificates.settings.bytes is {said:?}, which is no number up to {LARGEST_SETTING}; certificates may have {largest} bytes"
        );
    }
    largest + FORM
}

/// The caller's certificate as it was uploaded; null before that.
#[get("/api/doctor/certificate", signed_in = CLINIC, tag = "clinic")]
pub(super) fn download(Doctor(doctor): Doctor) -> Result<Response> {
    let key = doctor.text("certificate");
    if key.is_empty() {
        return Json(()).into_response();
    }
    match blobs::respond(key) {
        Ok(_) => {}
        // A user who was moved in without the file: the name is known, the content is not.
        Err(blobs::Error::NotFound | blobs::Error::Invalid(_)) => {
            return Json(()).into_response();
        }
        Err(error) => return Err(error.into()),
    }
    let name = key.rsplit('/').next().unwrap_or_default();
    let kind = Kind::of_key(key).map_or("application/octet-stream", Kind::content_type);
    let answer = Response { status: 200, headers: Vec::new(), body: Vec::new() };
    Ok(answer
        .with_header("content-type", kind)
        .with_header("content-disposition", &format!("attachment; filename={name}"))
        .with_header("x-content-type-options", "nosniff")
        .with_header("cache-control", "private, no-store"))
}

const CERTIFICATE: &[Parameter] = &[file(
    "certificate",
    "JPEG, PNG, BMP or PDF, of at most 5 MiB unless the operator says otherwise.",
)];

/// Takes the caller's certificate.
#[post(
    "/api/doctor/certificate/upload",
    signed_in = CLINIC,
    body_limit = body_limit,
    tag = "clinic",
    parameters = CERTIFICATE
)]
pub(super) fn upload(Doctor(doctor): Doctor, request: &Request) -> Result<Json<Value>> {
    let (certificate, kind) = certificate(request)?;
    let key = format!("certificate/{}.{}", chance::draw(LETTERS_AND_DIGITS, 40), kind.extension());
    request.keep(certificate, &key)?;
    let sql =
        "UPDATE clinic_users SET certificate = $1, certificate_checked = 1 WHERE user_id = $2";
    let written = database::execute(sql, params![&key, doctor.integer("id")]);
    if written.is_err() {
        media::discard(&key);
    }
    written?;
    Ok(Json(json!({ "message": "上传成功", "path": key })))
}

/// The file, if it is one that is taken.
fn certificate(request: &Request) -> Result<(&File, Kind)> {
    let input = request.input();
    let largest = largest();
    let refusal = match input.file("certificate") {
        None if input.value("certificate").is_null() => "certificate 不能为空。".to_owned(),
        None => "certificate 必须是文件。".to_owned(),
        Some(file) if file.content.len() > largest as usize => {
            format!("certificate 不能大于 {} KB。", largest / 1024)
        }
        Some(file) => match Kind::of(file) {
            Ok(kind) => return Ok((file, kind)),
            Err(Refusal::Empty) => "certificate 不能为空。".to_owned(),
            Err(Refusal::Name) => "certificate 文件名不正确。".to_owned(),
            Err(Refusal::Unknown) => {
                "certificate 必须是一个 jpg, png, bmp, pdf 类型的文件。".to_owned()
            }
            Err(Refusal::Broken) => "certificate 文件已损坏。".to_owned(),
            Err(Refusal::TooLarge) => "certificate 图片尺寸不正确。".to_owned(),
        },
    };
    let mut errors = Errors::default();
    errors.add("certificate", &refusal);
    Err(errors.refusal())
}
