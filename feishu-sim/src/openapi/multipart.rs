//! `multipart/form-data`, as much of RFC 7578 as upload forms use.

use bytes::Bytes;

use super::error::ApiError;

/// One field of a form.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) file_name: Option<String>,
    pub(super) content: Bytes,
}

/// Fields of a form at most.
const FIELDS_MAX: usize = 16;

/// Takes a form apart.
pub(super) fn parse(content_type: &str, body: &Bytes) -> Result<Vec<Field>, ApiError> {
    let wrong = || ApiError::new(234_001, "the request is not a multipart form");
    let boundary = content_type
        .strip_prefix("multipart/form-data")
        .and_then(|rest| {
            rest.split(';')
                .find_map(|part| part.trim().strip_prefix("boundary="))
        })
        .map(|boundary| boundary.trim_matches('"'))
        .filter(|boundary| !boundary.is_empty())
        .ok_or_else(wrong)?;
    let delimiter = format!("--{boundary}");
    let mut fields = Vec::new();
    let mut rest = after(body, delimiter.as_bytes()).ok_or_else(wrong)?;
    while !rest.starts_with(b"--") && fields.len() < FIELDS_MAX {
        let (part, next) = split(&rest, format!("\r\n{delimiter}").as_bytes()).ok_or_else(wrong)?;
        let part = part
            .strip_prefix(b"\r\n")
            .map(|part| body.slice_ref(part))
            .ok_or_else(wrong)?;
        let (head, content) = split(&part, b"\r\n\r\n").ok_or_else(wrong)?;
        let head = String::from_utf8_lossy(&head).into_owned();
        let disposition = head
            .lines()
            .find(|line| {
                line.to_ascii_lowercase()
                    .starts_with("content-disposition:")
            })
            .ok_or_else(wrong)?;
        fields.push(Field {
            name: parameter(disposition, "name").ok_or_else(wrong)?,
            file_name: parameter(disposition, "filename"),
            content,
        });
        rest = next;
    }
    Ok(fields)
}

/// A quoted or bare parameter of a header.
fn parameter(header: &str, name: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|part| {
        let (key, value) = part.trim().split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

fn after(bytes: &Bytes, needle: &[u8]) -> Option<Bytes> {
    split(bytes, needle).map(|(_, after)| after)
}

fn split(bytes: &Bytes, needle: &[u8]) -> Option<(Bytes, Bytes)> {
    let place = find(bytes, needle)?;
    let before = bytes.get(..place)?;
    let after = bytes.get(place + needle.len()..)?;
    Some((bytes.slice_ref(before), bytes.slice_ref(after)))
}

/// Looks for the needle's first byte and compares there.
fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let place = from + rest.iter().position(|byte| *byte == first)?;
        if bytes.get(place..)?.starts_with(needle) {
            return Some(place);
        }
        from = place + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_comes_apart() {
        let body = Bytes::from_static(
            b"--xx\r\nContent-Disposition: form-data; name=\"image_type\"\r\n\r\nmessage\r\n\
              --xx\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a b.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--x\r\n--xx--\r\n",
        );
        let fields = parse("multipart/form-data; boundary=xx", &body).unwrap();
        assert_eq!(
            fields,
            [
                Field {
                    name: "image_type".into(),
                    file_name: None,
                    content: Bytes::from_static(b"message")
                },
                Field {
                    name: "image".into(),
                    file_name: Some("a b.png".into()),
                    content: Bytes::from_static(b"\x89PNG\r\n--x")
                },
            ]
        );
        for (content_type, body) in [
            ("application/json", &b"{}"[..]),
            ("multipart/form-data; boundary=xx", b""),
            ("multipart/form-data; boundary=xx", b"--xx\r\nno end"),
        ] {
            assert!(parse(content_type, &Bytes::copy_from_slice(body)).is_err());
        }
    }
}
