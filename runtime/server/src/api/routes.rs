//! The one list of routes: the router and `/openapi.json` are made from it.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    routing::{MethodRouter, get, post},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    chat, completions, encode, health, models, responses,
    schema::{answers, encoders, requests},
    tokens,
};
use crate::app::App;

/// One route and its bodies.
struct Route {
    path: &'static str,
    /// As OpenAPI writes it.
    method: &'static str,
    name: &'static str,
    summary: &'static str,
    handler: MethodRouter<Arc<App>>,
    request: Option<Body>,
    answer: Body,
    may_stream: bool,
}

type Body = fn(&mut SchemaGenerator) -> Schema;

fn body<T: JsonSchema>() -> Body {
    SchemaGenerator::subschema_for::<T>
}

fn routes() -> Vec<Route> {
    let post = |path, name, summary, handler, request, answer, may_stream| Route {
        path,
        method: "post",
        name,
        summary,
        handler,
        request: Some(request),
        answer,
        may_stream,
    };
    let get = |path, name, summary, handler: MethodRouter<Arc<App>>, answer| Route {
        path,
        method: "get",
        name,
        summary,
        handler,
        request: None,
        answer,
        may_stream: false,
    };
    vec![
        get(
            "/v1/models",
            "listModels",
            "The model that is served, and its adapters.",
            self::get(models::list),
            body::<answers::ModelList>(),
        ),
        get("/v1/models/{*id}", "getModel", "One model.", self::get(models::one), body::<answers::ModelAnswer>()),
        post(
            "/v1/chat/completions",
            "createChatCompletion",
            "Answers a conversation.",
            self::post(chat::handle),
            body::<requests::ChatRequest>(),
            body::<answers::ChatAnswer>(),
            true,
        ),
        post(
            "/v1/completions",
            "createCompletion",
            "Continues prompts.",
            self::post(completions::handle),
            body::<requests::CompletionRequest>(),
            body::<answers::CompletionAnswer>(),
            true,
        ),
        post(
            "/v1/responses",
            "createResponse",
            "Answers items, without a memory.",
            self::post(responses::handle),
            body::<requests::ResponseRequest>(),
            body::<answers::ResponseAnswer>(),
            true,
        ),
        post(
            "/tokenize",
            "tokenize",
            "The tokens of a prompt or a conversation.",
            self::post(tokens::tokenize),
            body::<requests::TokenizeRequest>(),
            body::<answers::TokenizeAnswer>(),
            false,
        ),
        post(
            "/detokenize",
            "detokenize",
            "The text of tokens.",
            self::post(tokens::detokenize),
            body::<requests::DetokenizeRequest>(),
            body::<answers::DetokenizeAnswer>(),
            false,
        ),
        get("/health", "health", "Whether requests are answered now.", self::get(health::ready), body::<Value>()),
        get("/health/live", "live", "Whether the process runs.", self::get(health::live), body::<Value>()),
        get("/health/ready", "ready", "As /health.", self::get(health::ready), body::<Value>()),
        get("/openapi.json", "openapi", "This description.", self::get(openapi), body::<Value>()),
    ]
}

/// What encoders answer.
fn encoder_routes() -> Vec<Route> {
    let route = |path, name, summary, handler, request, answer| Route {
        path,
        method: "post",
        name,
        summary,
        handler,
        request: Some(request),
        answer,
        may_stream: false,
    };
    let list = body::<encoders::ListAnswer>();
    vec![
        route(
            "/v1/embeddings",
            "createEmbedding",
            "A vector for each text.",
            self::post(encode::embeddings),
            body::<encoders::EmbeddingRequest>(),
            list,
        ),
        route(
            "/v1/rerank",
            "rerank",
            "Documents by what they have to do with a query.",
            self::post(encode::rerank),
            body::<encoders::RerankRequest>(),
            body::<encoders::RerankAnswer>(),
        ),
        route(
            "/v1/classify",
            "classify",
            "Labels of texts, or of the words in them.",
            self::post(encode::classify),
            body::<encoders::ClassifyRequest>(),
            list,
        ),
        route(
            "/v1/fill-mask",
            "fillMask",
            "The likeliest words for each mask.",
            self::post(encode::fill_mask),
            body::<encoders::FillMaskRequest>(),
            list,
        ),
        route(
            "/v1/question-answering",
            "answerQuestion",
            "Where in a text the answer stands.",
            self::post(encode::question_answering),
            body::<encoders::QuestionRequest>(),
            body::<encoders::QuestionAnswer>(),
        ),
    ]
}

/// All routes, ready to be called.
pub(super) fn router() -> Router<Arc<App>> {
    routes()
        .into_iter()
        .chain(encoder_routes())
        .fold(Router::new(), |router, route| router.route(route.path, route.handler))
}

async fn openapi(State(app): State<Arc<App>>) -> Json<Value> {
    Json(description(&app.names()))
}

/// Requests that must name the model.
const NAMING: [&str; 8] = [
    "ChatRequest",
    "CompletionRequest",
    "ResponseRequest",
    "EmbeddingRequest",
    "RerankRequest",
    "ClassifyRequest",
    "FillMaskRequest",
    "QuestionRequest",
];

/// The API as OpenAPI 3.1 describes it.
pub(super) fn description(models: &[&str]) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for route in routes().into_iter().chain(encoder_routes()) {
        let path = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        path[route.method] = operation(&route, &mut schemas);
    }
    let mut schemas = Value::Object(schemas.take_definitions(true));
    for request in NAMING {
        schemas[request]["properties"]["model"]["enum"] = json!(models);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": "Alcazar", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {"schemas": schemas},
    })
}

fn operation(route: &Route, schemas: &mut SchemaGenerator) -> Value {
    let mut content = json!({"application/json": {"schema": (route.answer)(schemas)}});
    if route.may_stream {
        content["text/event-stream"] = json!({"schema": {"type": "string"}});
    }
    let error = body::<answers::ErrorAnswer>()(schemas);
    let error = json!({"description": "Why not.", "content": {"application/json": {"schema": error}}});
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.summary,
        "responses": {"200": {"description": "The answer.", "content": content}, "default": error},
    });
    if let Some(request) = route.request {
        let schema = request(schemas);
        operation["requestBody"] = json!({"required": true, "content": {"application/json": {"schema": schema}}});
    }
    if route.path.contains("{*id}") {
        operation["parameters"] = json!([{"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}]);
    }
    operation
}
