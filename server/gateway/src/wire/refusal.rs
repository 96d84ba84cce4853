//! Refusals: one meaning, written in the caller's dialect.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{ids::CallId, leases::Claim, limits::Level, providers::Dialect, refusals::Told};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::json;

use super::Route;
use crate::headroom;

/// Why a call is refused, or failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// No secret, an unknown one, or a dead one.
    InvalidSecret,
    /// The body or its parameters are wrong.
    BadRequest,
    /// The body is too large.
    TooLarge,
    /// No such route here.
    UnknownRoute,
    /// Not visible: closed, unknown, not reviewed, not priced.
    ModelNotFound,
    /// Visible, but this key excludes it.
    ModelNotAllowed,
    /// By request, and there is no grant.
    RequiresApproval,
    /// A feature the key does not have.
    FeatureNotAllowed,
    /// Money is out.
    BudgetExceeded,
    /// A day-or-longer quota is out.
    QuotaExceeded,
    /// There is room, but calls in flight hold it.
    Busy,
    /// A minute or hour quota, or calls at once.
    RateLimited,
    /// Facts or reservation not available.
    Unavailable,
    /// Bursar ended the call: by hand, or because what it held was used up.
    Ended,
    /// The input has something in it that the key refuses.
    GuardrailRefused,
    /// An answer to go on from that is not this application's.
    AnswerNotFound,
    /// The upstream refused our credential, or broke.
    UpstreamError,
    /// The upstream did not answer in time.
    UpstreamTimeout,
}

impl Kind {
    /// The status, where the organization does not say otherwise.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::InvalidSecret => StatusCode::UNAUTHORIZED,
            Self::BadRequest | Self::GuardrailRefused => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnknownRoute | Self::ModelNotFound | Self::AnswerNotFound => StatusCode::NOT_FOUND,
            Self::ModelNotAllowed | Self::RequiresApproval | Self::FeatureNotAllowed | Self::Ended => {
                StatusCode::FORBIDDEN
            }
            Self::BudgetExceeded | Self::QuotaExceeded => StatusCode::PAYMENT_REQUIRED,
            Self::Busy | Self::RateLimited => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::UpstreamError => StatusCode::BAD_GATEWAY,
            Self::UpstreamTimeout => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// `type` in OpenAI's dialect.
    const fn openai_type(self) -> &'static str {
        match self {
            Self::InvalidSecret
            | Self::BadRequest
            | Self::TooLarge
            | Self::UnknownRoute
            | Self::ModelNotFound
            | Self::GuardrailRefused
            | Self::AnswerNotFound => "invalid_request_error",
            Self::ModelNotAllowed | Self::RequiresApproval | Self::FeatureNotAllowed | Self::Ended => {
                "permission_error"
            }
            Self::BudgetExceeded | Self::QuotaExceeded => "insufficient_quota",
            Self::Busy | Self::RateLimited => "rate_limit_error",
            Self::Unavailable | Self::UpstreamError | Self::UpstreamTimeout => "server_error",
        }
    }

    /// `code` in OpenAI's dialect, and in the record.
    pub const fn code(self) -> &'static str {
        match self {
            Self::InvalidSecret => "invalid_api_key",
            Self::BadRequest => "invalid_request",
            Self::TooLarge => "request_too_large",
            Self::UnknownRoute => "unknown_route",
            Self::ModelNotFound => "model_not_found",
            Self::ModelNotAllowed => "model_not_allowed",
            Self::RequiresApproval => "model_requires_approval",
            Self::FeatureNotAllowed => "feature_not_allowed",
            Self::BudgetExceeded => "budget_exceeded",
            Self::QuotaExceeded => "quota_exceeded",
            Self::Busy => "budget_busy",
            Self::RateLimited => "rate_limit_exceeded",
            Self::Unavailable => "unavailable",
            Self::Ended => "call_ended",
            Self::GuardrailRefused => "guardrail_refused",
            Self::AnswerNotFound => "previous_response_not_found",
            Self::UpstreamError | Self::UpstreamTimeout => "upstream_error",
        }
    }

    /// What its request id says of it.
    const fn told(self) -> Told {
        match self {
            Self::InvalidSecret => Told::OrphanedSecret,
            Self::BadRequest => Told::BadRequest,
            Self::TooLarge => Told::TooLarge,
            Self::UnknownRoute => Told::UnknownRoute,
            Self::ModelNotFound => Told::ModelNotFound,
            Self::ModelNotAllowed => Told::ModelNotAllowed,
            Self::RequiresApproval => Told::RequiresApproval,
            Self::FeatureNotAllowed => Told::FeatureNotAllowed,
            Self::BudgetExceeded => Told::BudgetExceeded,
            Self::QuotaExceeded => Told::QuotaExceeded,
            Self::Busy => Told::Busy,
            Self::RateLimited => Told::RateLimited,
            Self::Unavailable => Told::Unavailable,
            Self::Ended => Told::Ended,
            Self::GuardrailRefused => Told::GuardrailRefused,
            Self::AnswerNotFound => Told::AnswerNotFound,
            Self::UpstreamError => Told::UpstreamError,
            Self::UpstreamTimeout => Told::UpstreamTimeout,
        }
    }

    /// `type` in Anthropic's dialect.
    const fn anthropic_type(self) -> &'static str {
        match self {
            Self::InvalidSecret => "authentication_error",
            Self::BadRequest | Self::GuardrailRefused => "invalid_request_error",
            Self::TooLarge => "request_too_large",
            Self::UnknownRoute | Self::ModelNotFound | Self::AnswerNotFound => "not_found_error",
            Self::ModelNotAllowed | Self::RequiresApproval | Self::FeatureNotAllowed | Self::Ended => {
                "permission_error"
            }
            Self::BudgetExceeded | Self::QuotaExceeded => "billing_error",
            Self::Busy | Self::RateLimited => "rate_limit_error",
            Self::Unavailable => "overloaded_error",
            Self::UpstreamError | Self::UpstreamTimeout => "api_error",
        }
    }
}

/// A model of a policy that was passed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// What callers call it.
    pub model: String,
    /// Why, as one word.
    pub reason: String,
}

/// `error.bursar`: what programs read. Only the fields that apply.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Detail {
    /// Why, as one word.
    pub reason: String,
    /// The kind of scope that has no room, or whose rule decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'static str>,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_id: Option<String>,
    /// What it is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope_name: Option<String>,
    /// What the limit counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<&'static str>,
    /// Over how long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window: Option<&'static str>,
    /// The cap, as decimal dollars for money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cap: Option<serde_json::Value>,
    /// What finished calls used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used: Option<serde_json::Value>,
    /// What calls in flight hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserved: Option<serde_json::Value>,
    /// What the call can need of it at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub needs: Option<serde_json::Value>,
    /// When the window ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resets_at: Option<String>,
    /// The last day of the group that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_on: Option<String>,
    /// Where to ask for access or see why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_url: Option<String>,
    /// Whom to ask.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contact: Option<String>,
    /// What was found in the input, by kind: never the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub found: Vec<&'static str>,
    /// Of a policy: the models that were passed over, those the caller can see.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<Skipped>,
    /// The call's id, which every trace of it carries.
    pub request_id: String,
    /// The limits without room, for the headers of rates.
    #[serde(skip)]
    pub short: Vec<(Claim, Level)>,
}

/// A refusal, ready to be written.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The call's id.
    pub id: CallId,
    /// Why.
    pub kind: Kind,
    /// What its request id says of it.
    pub told: Told,
    /// Whether the call is in the books, where its id finds it.
    pub booked: bool,
    /// The status, where the organization maps it.
    pub status: StatusCode,
    /// One plain sentence.
    pub message: String,
    /// The parameter it is about.
    pub param: Option<&'static str>,
    /// Seconds after which trying again makes sense.
    pub retry_after: Option<u64>,
    /// For programs.
    pub detail: Box<Detail>,
}

impl Refusal {
    /// A refusal with nothing but a sentence.
    pub fn new(kind: Kind, id: CallId, message: impl Into<String>) -> Self {
        let detail =
            Detail { reason: kind.code().to_owned(), request_id: id.to_string(), ..Detail::default() };
        let retry_after = match kind {
            Kind::Busy | Kind::Unavailable => Some(1),
            _ => None,
        };
        Self {
            id,
            kind,
            told: kind.told(),
            booked: false,
            status: kind.status(),
            message: message.into(),
            param: None,
            retry_after,
            detail: Box::new(detail),
        }
    }

    /// About a parameter.
    #[must_use]
    pub fn about(mut self, param: Option<&'static str>) -> Self {
        self.param = param;
        self
    }

    /// More precisely why, for its request id.
    #[must_use]
    pub fn because(mut self, told: Told) -> Self {
        self.told = told;
        self
    }

    /// Of a call that is in the books.
    #[must_use]
    pub fn booked(mut self) -> Self {
        self.booked = true;
        self
    }

    /// With another id.
    #[must_use]
    pub fn known_by(mut self, id: CallId) -> Self {
        self.id = id;
        let before = std::mem::replace(&mut self.detail.request_id, id.to_string());
        // Where it leads to why it was refused, that is by the id its caller hears.
        self.detail.request_url =
            self.detail.request_url.map(|url| url.replace(&before, &self.detail.request_id));
        self
    }

    /// What the official SDKs are told of trying again by themselves; they obey it before they look at the
    /// status. Nothing where the status and the wait say enough: a 5xx is tried again anyway.
    const fn should_retry(&self) -> Option<&'static str> {
        match self.kind {
            Kind::Busy | Kind::RateLimited => Some("true"),
            Kind::Unavailable | Kind::UpstreamError | Kind::UpstreamTimeout => None,
            _ => Some("false"),
        }
    }

    /// The body in a dialect.
    pub fn body(&self, dialect: Dialect) -> serde_json::Value {
        match dialect {
            Dialect::OpenAi => json!({
                "error": {
                    "message": self.message,
                    "type": self.kind.openai_type(),
                    "param": self.param,
                    "code": self.kind.code(),
                    "bursar": self.detail,
                }
            }),
            Dialect::Anthropic => json!({
                "type": "error",
                "error": {
                    "type": self.kind.anthropic_type(),
                    "message": self.message,
                    "bursar": self.detail,
                },
                "request_id": self.detail.request_id,
            }),
        }
    }

    /// The last event of a stream that broke, behind so many others.
    pub fn stream_event(&self, route: Route, behind: u64) -> String {
        match route {
            Route::Messages | Route::CountTokens => {
                format!("event: error\ndata: {}\n\n", self.body(Dialect::Anthropic))
            }
            Route::ChatCompletions | Route::Embeddings => {
                format!("data: {}\n\n", self.body(Dialect::OpenAi))
            }
            Route::Responses => {
                // The event's own fields, and the object that the official SDKs raise as an error.
                let mut event = self.body(Dialect::OpenAi);
                event["type"] = json!("error");
                event["code"] = json!(self.kind.code());
                event["message"] = json!(self.message);
                event["param"] = json!(null);
                event["sequence_number"] = json!(behind);
                format!("event: error\ndata: {event}\n\n")
            }
        }
    }

    /// The whole answer in a dialect.
    pub fn into_response(self, dialect: Dialect) -> Response {
        let mut response = (self.status, Body::from(self.body(dialect).to_string())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&self.detail.request_id) {
            headers.insert("x-request-id", id.clone());
            if dialect == Dialect::Anthropic {
                headers.insert("request-id", id);
            }
        }
        if let Some(whether) = self.should_retry() {
            headers.insert("x-should-retry", HeaderValue::from_static(whether));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        headroom::rate_headers(dialect, &self.detail.short, headers);
        response
    }
}
