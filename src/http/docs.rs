//! The OpenAPI document at `/openapi.json`, and Swagger UI at `/docs`. All files are embedded in the binary. The page
//! loads nothing from other origins.

use std::sync::{LazyLock, OnceLock};

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, web};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use super::error::{ApiError, NO_SUCH_ROUTE};
use super::etag::is_not_modified;
use super::response_body::ChunkedBody;

/// The files below `/docs/` that the page loads. `scripts/vendor-swagger-ui` fetches those of Swagger UI.
pub const FILES: [&str; 3] = ["start.js", "swagger-ui-bundle.js", "swagger-ui.css"];

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// The Content-Security-Policy. Swagger UI needs inline styles, and `data:` URLs for the icons in its style sheet.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
                      img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";

/// Redirects `/` to the documentation, for people who open the service's URL in a browser.
pub async fn redirect_to_docs() -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, "/docs"))
        .finish()
}

/// Responds with the OpenAPI document `text`. Every call must pass the same text, because the text of the first call is
/// cached and sent in all responses.
pub fn document(request: &HttpRequest, text: &'static str) -> HttpResponse {
    static DOCUMENT: OnceLock<Embedded> = OnceLock::new();
    let document = DOCUMENT.get_or_init(|| Embedded::plain("application/json", text.as_bytes()));
    document.response(request)
}

pub async fn page(request: HttpRequest) -> HttpResponse {
    static PAGE: LazyLock<Embedded> =
        LazyLock::new(|| Embedded::plain(HTML, include_bytes!("docs/page.html")));
    PAGE.response(&request)
}

pub async fn file(name: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    // In the order of `FILES`.
    static CONTENTS: LazyLock<[Embedded; 3]> = LazyLock::new(|| {
        [
            Embedded::plain(JAVASCRIPT, include_bytes!("docs/start.js")),
            Embedded::gzipped(
                JAVASCRIPT,
                include_bytes!("docs/swagger-ui/swagger-ui-bundle.js.gz"),
            ),
            Embedded::gzipped(CSS, include_bytes!("docs/swagger-ui/swagger-ui.css.gz")),
        ]
    });
    let at = FILES.iter().position(|file| **file == **name);
    let at = at.ok_or(ApiError::NotFound(&NO_SUCH_ROUTE))?;
    Ok(CONTENTS[at].response(&request))
}

struct Embedded {
    media_type: &'static str,
    bytes: web::Bytes,
    /// Whether `bytes` are compressed with gzip. A compressed file is sent to every client, because all browsers that
    /// can show the page support gzip.
    is_gzipped: bool,
    tag: String,
}

impl Embedded {
    fn plain(media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(media_type, web::Bytes::from_static(bytes), false)
    }

    fn gzipped(media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self::new(media_type, web::Bytes::from_static(bytes), true)
    }

    fn new(media_type: &'static str, bytes: web::Bytes, is_gzipped: bool) -> Self {
        let digest = digest::digest(&digest::SHA256, &bytes);
        let tag = format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]));
        Self {
            media_type,
            bytes,
            is_gzipped,
            tag,
        }
    }

    fn response(&self, request: &HttpRequest) -> HttpResponse {
        if is_not_modified(request.headers(), &self.tag) {
            return HttpResponse::NotModified()
                .insert_header((ETAG, &*self.tag))
                .finish();
        }
        let mut response = HttpResponse::Ok();
        response
            .insert_header((CONTENT_TYPE, self.media_type))
            .insert_header((ETAG, &*self.tag))
            // The browser must revalidate its copy, because a new version of the service may contain other files.
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((REFERRER_POLICY, "no-referrer"));
        if self.is_gzipped {
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
        response.body(ChunkedBody::from(self.bytes.clone()))
    }
}
