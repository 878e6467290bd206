//! The routes that are served, as metrics and audit name them. Pure.

use hyper::Method;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /v1/models`: answered here.
    Models,
    /// `GET /v1/models/NAME`: answered here.
    Model,
    Chat,
    Completions,
    Responses,
    Embeddings,
    Rerank,
    Classify,
    FillMask,
    QuestionAnswering,
    Tokenize,
    Detokenize,
}

/// Why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoute {
    /// Nothing is at this path.
    Path,
    /// The path takes another method.
    Method,
}

const POSTS: [(&str, Route); 10] = [
    ("/v1/chat/completions", Route::Chat),
    ("/v1/completions", Route::Completions),
    ("/v1/responses", Route::Responses),
    ("/v1/embeddings", Route::Embeddings),
    ("/v1/rerank", Route::Rerank),
    ("/v1/classify", Route::Classify),
    ("/v1/fill-mask", Route::FillMask),
    ("/v1/question-answering", Route::QuestionAnswering),
    ("/tokenize", Route::Tokenize),
    ("/detokenize", Route::Detokenize),
];

impl Route {
    /// By method and path.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, NoRoute> {
        let (route, wanted) = if let Some((_, route)) = POSTS.iter().find(|(known, _)| *known == path) {
            (*route, Method::POST)
        } else if path == "/v1/models" {
            (Self::Models, Method::GET)
        } else if path.strip_prefix("/v1/models/").is_some_and(|name| !name.is_empty()) {
            (Self::Model, Method::GET)
        } else {
            return Err(NoRoute::Path);
        };
        if *method == wanted { Ok(route) } else { Err(NoRoute::Method) }
    }

    /// Path upstream, and the name in metrics and audit: never the client's text.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Models => "/v1/models",
            Self::Model => "/v1/models/{id}",
            posted => POSTS.iter().find(|(_, route)| *route == posted).map_or("", |(path, _)| path),
        }
    }

    /// Whether a stream of it tells its usage only to those who ask.
    pub(crate) fn has_stream_options(self) -> bool {
        matches!(self, Self::Chat | Self::Completions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_the_routes_of_the_runtime() {
        for (path, route) in POSTS {
            assert_eq!(Route::of(&Method::POST, path), Ok(route));
            assert_eq!(Route::of(&Method::GET, path), Err(NoRoute::Method));
            assert_eq!(route.path(), path);
        }
        assert_eq!(Route::of(&Method::GET, "/v1/models"), Ok(Route::Models));
        assert_eq!(Route::of(&Method::GET, "/v1/models/a/b"), Ok(Route::Model));
    }

    #[test]
    fn knows_no_others() {
        for path in
            ["/", "/v1", "/v1/models/", "/v1/chat/completions/", "//v1/models", "/v1/../metrics", "/metrics", "*"]
        {
            assert_eq!(Route::of(&Method::GET, path), Err(NoRoute::Path), "{path}");
        }
    }
}
