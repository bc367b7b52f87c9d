//! `inspect-token`: reads a token on stdin, and explains whether the service would accept the token.

use std::io::{self, Read as _};
use std::process::ExitCode;

use super::{Outcome, print};
use crate::auth::Verifier;
use crate::config::Config;

pub fn run(config: &Config) -> Outcome {
    let secrets = config.secret_source.load_existing()?;
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let verifier = Verifier::new(config, &secrets);
    let verified = match actix_web::rt::System::new().block_on(verifier.verify(extract_token(&input))) {
        Ok(verified) => verified,
        Err(refusal) => {
            print(&format!("refused: {refusal}\n"))?;
            return Ok(ExitCode::FAILURE);
        }
    };
    let user = &verified.user;
    let lines = [
        format!("accepted: signed with {}", verified.algorithm),
        format!("  user   {:?}", user.id.as_str()),
        format!("  email  {}", format_claim(user.email.as_deref())),
        format!("  name   {}", format_claim(user.name.as_deref())),
        format!("  valid  for another {} s\n", verified.remaining_seconds()),
    ];
    print(&lines.join("\n"))
}

/// Removes `Authorization:` and `Bearer`, because people often paste the whole header.
fn extract_token(input: &str) -> &str {
    let input = input.trim();
    let value = input.strip_prefix("Authorization:").unwrap_or(input).trim();
    value.strip_prefix("Bearer ").unwrap_or(value).trim()
}

/// Escapes control characters, because a terminal would interpret them and the token may come from an attacker.
fn format_claim(claim: Option<&str>) -> String {
    claim.map_or_else(|| "(none)".into(), |text| format!("{text:?}"))
}
