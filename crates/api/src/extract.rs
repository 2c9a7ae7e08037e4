//! What handlers take from a request. The same as axum's own, but a request that cannot be read is
//! answered in the one error envelope.

use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts};

use crate::error::ApiError;

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(ApiError))]
pub(crate) struct Json<T>(pub(crate) T);

/// Query parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(ApiError))]
pub(crate) struct Query<T>(pub(crate) T);

/// Path parameters.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(ApiError))]
pub(crate) struct Path<T>(pub(crate) T);

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        if rejection.status() == http::StatusCode::PAYLOAD_TOO_LARGE {
            return Self::too_large();
        }
        Self::invalid(sentence(&without_texts(&rejection.body_text())))
            .hint("The body is a JSON object, with `content-type: application/json`.")
    }
}

/// The same without the texts that were in the body: one in the wrong place may be a secret.
fn without_texts(message: &str) -> String {
    const TEXT: &str = "string \"";
    let mut without = String::new();
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(TEXT) {
        without.push_str(before);
        without.push_str("a text");
        let mut escaped = false;
        let end = after.find(|letter| {
            let is_end = letter == '"' && !escaped;
            escaped = letter == '\\' && !escaped;
            is_end
        });
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    without + rest
}

/// The framework's words as ours are written: in the middle of a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::invalid(sentence(&rejection.body_text()))
    }
}

impl From<PathRejection> for ApiError {
    /// Text that cannot be an id names nothing that is there.
    fn from(_: PathRejection) -> Self {
        Self::not_found()
    }
}

impl<T: serde::Serialize> axum::response::IntoResponse for Json<T> {
    fn into_response(self) -> axum::response::Response {
        axum::Json(self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::without_texts;

    #[test]
    fn texts_that_were_in_the_body_are_not_said_again() {
        let check = |text: &str, expected: &str| assert_eq!(without_texts(text), expected);

        check(
            r#"secrets: invalid type: string "s3cret \"\\", expected a map at line 1"#,
            "secrets: invalid type: a text, expected a map at line 1",
        );
        check(r#"invalid value: string "cut"#, "invalid value: a text");
        check("missing field `name` at line 1", "missing field `name` at line 1");
    }
}
