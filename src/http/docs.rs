//! The OpenAPI document at `/openapi.json`, and Swagger UI at `/docs`. All files are embedded in the binary. The page
//! loads nothing from other origins.

use std::sync::OnceLock;

use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, LOCATION, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};
use actix_web::{HttpRequest, HttpResponse, web};

use super::error::{ApiError, NO_SUCH_ROUTE};
use super::etag::{digest_tag, is_not_modified};
use super::response_body::chunked_body;

/// The files below `/docs/` that the page loads, by name. `scripts/vendor-swagger-ui` fetches those of Swagger UI.
pub static FILES: [(&str, Embedded); 3] = [
    (
        "start.js",
        Embedded::new("text/javascript; charset=utf-8", include_bytes!("docs/start.js")),
    ),
    (
        "swagger-ui-bundle.js",
        Embedded::new(
            "text/javascript; charset=utf-8",
            include_bytes!("docs/swagger-ui/swagger-ui-bundle.js.gz"),
        ),
    ),
    (
        "swagger-ui.css",
        Embedded::new(
            "text/css; charset=utf-8",
            include_bytes!("docs/swagger-ui/swagger-ui.css.gz"),
        ),
    ),
];

/// The first bytes of every file that is compressed with gzip.
const GZIP_MAGIC_NUMBER: &[u8] = &[0x1f, 0x8b];

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
    let document = DOCUMENT.get_or_init(|| Embedded::new("application/json", text.as_bytes()));
    document.response(request)
}

pub async fn page(request: HttpRequest) -> HttpResponse {
    static PAGE: Embedded = Embedded::new("text/html; charset=utf-8", include_bytes!("docs/page.html"));
    PAGE.response(&request)
}

pub async fn file(name: web::Path<String>, request: HttpRequest) -> Result<HttpResponse, ApiError> {
    let file = FILES.iter().find(|(file, _)| *file == *name);
    let (_, file) = file.ok_or(ApiError::NotFound(&NO_SUCH_ROUTE))?;
    Ok(file.response(&request))
}

pub struct Embedded {
    media_type: &'static str,
    bytes: &'static [u8],
    tag: OnceLock<String>,
}

impl Embedded {
    const fn new(media_type: &'static str, bytes: &'static [u8]) -> Self {
        Self {
            media_type,
            bytes,
            tag: OnceLock::new(),
        }
    }

    fn response(&self, request: &HttpRequest) -> HttpResponse {
        let tag = self.tag.get_or_init(|| digest_tag(&[self.bytes]));
        if is_not_modified(request.headers(), tag) {
            return HttpResponse::NotModified()
                .insert_header((ETAG, tag.as_str()))
                .finish();
        }
        let mut response = HttpResponse::Ok();
        response
            .insert_header((CONTENT_TYPE, self.media_type))
            .insert_header((ETAG, tag.as_str()))
            // The browser must revalidate its copy, because a new version of the service may contain other files.
            .insert_header((CACHE_CONTROL, "no-cache"))
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
            .insert_header((REFERRER_POLICY, "no-referrer"));
        // A compressed file is sent to every client, because all browsers that can show the page support gzip.
        if self.bytes.starts_with(GZIP_MAGIC_NUMBER) {
            response.insert_header((CONTENT_ENCODING, "gzip"));
        }
        response.body(chunked_body(web::Bytes::from_static(self.bytes), None))
    }
}
