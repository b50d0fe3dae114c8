//! The files of a multipart body.

use super::FromRequest;
use crate::{Error, File, Request, blobs};

/// The files of a multipart body; none if the body is no such, or a broken one.
///
/// A file is told by its content alone: its name and type are what the client says.
#[derive(Clone, Copy)]
pub struct Files<'r>(&'r Request);

impl<'r> FromRequest<'r> for Files<'r> {
    fn from_request(request: &'r Request) -> Result<Self, Error> {
        Ok(Files(request))
    }
}

impl<'r> Files<'r> {
    /// All of them, in the order in which they came.
    pub fn all(self) -> &'r [File] {
        self.0.input().files()
    }

    /// The file of a field, of several the last.
    ///
    /// # Errors
    /// 422, if there is none.
    pub fn required(self, field: &str) -> Result<&'r File, Error> {
        let file = self.0.input().file(field);
        file.ok_or_else(|| Error::invalid([(field, "is required")]))
    }

    /// Stores one of them as a blob. The host takes it from the body as it arrived.
    ///
    /// # Errors
    /// Why it could not be stored.
    pub fn keep(self, file: &File, key: &str) -> Result<(), blobs::Error> {
        self.0.keep(file, key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{said, sent};

    #[test]
    fn a_file_is_found_by_its_field() {
        let body = "--x\r\ncontent-disposition: form-data; name=\"f\"; filename=\"f.txt\"\r\n\r\ncontent\r\n--x--\r\n";
        let request = sent("multipart/form-data; boundary=x", body);
        let files = Files::from_request(&request).expect("nothing fails");
        assert_eq!(files.all().len(), 1);
        assert_eq!(&*files.required("f").expect("a file").content, b"content");
        assert_eq!(said(files.required("g").err()).0, 422);
    }
}
