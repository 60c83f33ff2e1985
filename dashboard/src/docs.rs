//! The API's description for people: one page, written from the document, that needs no script and nobody else's server.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::header;
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};

use crate::openapi::DOCUMENT;

const STYLE: &str = include_str!("docs.css");
/// Schemas inside schemas that an example follows.
const DEPTH: usize = 6;
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

static PAGE: LazyLock<String> = LazyLock::new(|| render(&DOCUMENT));

/// The page. Public: it says nothing that the program's sources do not.
pub(crate) async fn page() -> impl IntoResponse {
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
    (headers, PAGE.as_str())
}

/// Its only style sheet.
pub(crate) async fn style() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], STYLE)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Paragraphs; what stands between backticks is code.
fn prose(text: &str) -> String {
    let line = |paragraph: &str| -> String {
        let part = |(i, part): (usize, &str)| {
            if i % 2 == 1 { format!("<code>{}</code>", escape(part)) } else { escape(part) }
        };
        paragraph.split('`').enumerate().map(part).collect()
    };
    let paragraphs = text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty());
    paragraphs.fold(String::new(), |out, paragraph| out + "<p>" + &line(paragraph) + "</p>\n")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or("")
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    value.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// What a `$ref` points at; anything else is itself.
fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    value
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| document.pointer(path.trim_start_matches('#')))
        .unwrap_or(value)
}

/// A schema's type in a few words, with a link to one that has a name.
fn kind(schema: &Value) -> String {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.rsplit('/').next()) {
        return format!("<a href=\"#{0}\">{0}</a>", escape(name));
    }
    if !list(schema, "enum").is_empty() {
        let words: Vec<String> = list(schema, "enum")
            .iter()
            .map(|word| format!("<code>{}</code>", escape(&word.to_string())))
            .collect();
        return words.join(" or ");
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let kinds: Vec<String> = list(schema, several).iter().map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(if several == "allOf" { " and " } else { " or " });
        }
    }
    let one = |word: &str| match (word, schema.get("items"), schema.get("additionalProperties")) {
        ("array", Some(items), _) => format!("list of {}", kind(items)),
        ("object", _, Some(values)) if values.is_object() => format!("map to {}", kind(values)),
        ("string", ..) if text(schema, "format") == "date-time" => "time".to_owned(),
        _ => escape(word),
    };
    match schema.get("type") {
        Some(Value::String(word)) => one(word),
        Some(Value::Array(words)) => {
            words.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or ")
        }
        _ => "anything".to_owned(),
    }
}

/// Something that the schema allows, to look at.
fn example(document: &Value, schema: &Value, depth: usize) -> Value {
    if let Some(example) = schema.get("example") {
        return example.clone();
    }
    let schema = resolve(document, schema);
    if let Some(first) = list(schema, "enum").first() {
        return first.clone();
    }
    for several in ["oneOf", "anyOf", "allOf"] {
        let known = list(schema, several).iter().find(|one| one.get("type") != Some(&json!("null")));
        if let Some(known) = known {
            return example(document, known, depth);
        }
    }
    let word = match schema.get("type") {
        Some(Value::Array(words)) => words.iter().filter_map(Value::as_str).find(|word| *word != "null"),
        word => word.and_then(Value::as_str),
    };
    match word {
        Some("object") if depth > 0 => {
            let mut object: Map<String, Value> = entries(schema, "properties")
                .map(|(key, value)| (key.clone(), example(document, value, depth - 1)))
                .collect();
            if let Some(values) = schema.get("additionalProperties").filter(|values| values.is_object()) {
                object.insert("name".to_owned(), example(document, values, depth - 1));
            }
            Value::Object(object)
        }
        Some("object") => json!({}),
        Some("array") if depth > 0 => {
            json!(
                schema
                    .get("items")
                    .map(|items| example(document, items, depth - 1))
                    .into_iter()
                    .collect::<Vec<_>>()
            )
        }
        Some("array") => json!([]),
        Some("string") if text(schema, "format") == "date-time" => json!("2026-11-20T06:53:06.000Z"),
        Some("string") => json!("text"),
        Some("integer") => json!(1),
        Some("number") => json!(1.5),
        Some("boolean") => json!(true),
        _ => Value::Null,
    }
}

fn json_block(value: &Value) -> String {
    format!("<pre><code>{}</code></pre>\n", escape(&serde_json::to_string_pretty(value).unwrap_or_default()))
}

fn body(document: &Value, content: &Value) -> String {
    let Some(schema) = content.pointer("/content/application~1json/schema") else { return String::new() };
    format!("<p class=\"kind\">{}</p>\n{}", kind(schema), json_block(&example(document, schema, DEPTH)))
}

fn operation(document: &Value, base: &str, method: &str, path: &str, operation: &Value) -> String {
    let security = operation.get("security").or_else(|| document.get("security")).and_then(Value::as_array);
    let open = security.is_none_or(|ways| ways.iter().any(|way| way.as_object().is_some_and(Map::is_empty)));
    let role = security.into_iter().flatten().find_map(|way| list(way, "token").first()?.as_str());
    let who = if open { "everybody" } else { role.unwrap_or("viewer") };
    let mut out = format!(
        "<section class=\"operation\" id=\"{id}\">\n<h3><a href=\"#{id}\">{summary}</a></h3>\n\
         <p class=\"line\"><span class=\"method\">{method}</span> <code>{base}{path}</code> <span class=\"who\">{who}</span></p>\n{description}",
        id = escape(text(operation, "operationId")),
        summary = escape(text(operation, "summary")),
        method = escape(&method.to_uppercase()),
        path = escape(path),
        description = prose(text(operation, "description")),
    );
    if !list(operation, "parameters").is_empty() {
        out.push_str(
            "<h4>Parameters</h4>\n<table>\n<tr><th>Name</th><th>In</th><th>Type</th><th>What</th></tr>\n",
        );
        for parameter in list(operation, "parameters") {
            let needed = if parameter.get("required") == Some(&json!(true)) { ", needed" } else { "" };
            // Writing to a String does not fail.
            let _ = writeln!(
                out,
                "<tr><td><code>{}</code></td><td>{}{needed}</td><td>{}</td><td>{}</td></tr>",
                escape(text(parameter, "name")),
                escape(text(parameter, "in")),
                parameter.get("schema").map(kind).unwrap_or_default(),
                prose(text(parameter, "description")),
            );
        }
        out.push_str("</table>\n");
    }
    if let Some(request) = operation.get("requestBody") {
        let _ = write!(out, "<h4>Body</h4>\n{}", body(document, request));
    }
    for (status, response) in entries(operation, "responses").filter(|(status, _)| *status != "default") {
        let response = resolve(document, response);
        let what = prose(text(response, "description"));
        let _ = write!(out, "<h4>Answer {}</h4>\n{what}{}", escape(status), body(document, response));
    }
    out + "</section>\n"
}

fn schema(name: &str, schema: &Value) -> String {
    let mut out = format!(
        "<section class=\"schema\" id=\"{0}\">\n<h3><a href=\"#{0}\">{0}</a></h3>\n{1}",
        escape(name),
        prose(text(schema, "description"))
    );
    let forms =
        std::iter::once(schema).chain(list(schema, "oneOf")).filter(|form| form.get("properties").is_some());
    let mut any = false;
    for form in forms {
        any = true;
        out.push_str(&prose(if std::ptr::eq(form, schema) { "" } else { text(form, "description") }));
        out.push_str("<table>\n<tr><th>Field</th><th>Type</th><th>What</th></tr>\n");
        for (field, value) in entries(form, "properties") {
            let _ = writeln!(
                out,
                "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
                escape(field),
                kind(value),
                prose(text(value, "description")),
            );
        }
        out.push_str("</table>\n");
    }
    if !any {
        let _ = writeln!(out, "<p class=\"kind\">{}</p>", kind(schema));
    }
    out + "</section>\n"
}

fn render(document: &Value) -> String {
    let title = document.pointer("/info/title").and_then(Value::as_str).unwrap_or("API");
    let version = document.pointer("/info/version").and_then(Value::as_str).unwrap_or("");
    let about = document.pointer("/info/description").and_then(Value::as_str).unwrap_or("");
    let base = document.pointer("/servers/0/url").and_then(Value::as_str).unwrap_or("");
    let mut by_tag: BTreeMap<&str, Vec<(&str, &str, &Value)>> = BTreeMap::new();
    for (path, item) in entries(document, "paths") {
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let tag = list(operation, "tags").first().and_then(Value::as_str).unwrap_or("");
                by_tag.entry(tag).or_default().push((method, path, operation));
            }
        }
    }
    let (mut nav, mut main) = (String::new(), String::new());
    // In the order in which the document names them; those it does not name come last.
    let named = list(document, "tags").iter().map(|tag| (text(tag, "name"), text(tag, "description")));
    let mut order: Vec<(&str, &str)> = named.collect();
    let more: Vec<(&str, &str)> = by_tag
        .keys()
        .filter(|tag| !order.iter().any(|(name, _)| name == *tag))
        .map(|tag| (*tag, ""))
        .collect();
    order.extend(more);
    for (tag, description) in order {
        let Some(operations) = by_tag.get(tag) else { continue };
        let _ = writeln!(nav, "<li><a href=\"#tag-{0}\">{0}</a><ul>", escape(tag));
        let _ = write!(main, "<h2 id=\"tag-{0}\">{0}</h2>\n{1}", escape(tag), prose(description));
        for (method, path, one) in operations {
            let (id, summary) = (escape(text(one, "operationId")), escape(text(one, "summary")));
            let _ = writeln!(nav, "<li><a href=\"#{id}\">{summary}</a></li>");
            main.push_str(&operation(document, base, method, path, one));
        }
        nav.push_str("</ul></li>\n");
    }
    main.push_str("<h2 id=\"schemas\">Schemas</h2>\n");
    for (name, one) in
        document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten()
    {
        main.push_str(&schema(name, one));
    }
    let title = Cow::from(escape(title));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} API</title>\n\
         <link rel=\"stylesheet\" href=\"/api/docs.css\">\n</head>\n<body>\n\
         <nav aria-label=\"Contents\"><ul>\n{nav}<li><a href=\"#schemas\">Schemas</a></li>\n</ul></nav>\n\
         <main>\n<h1>{title} API <small>{version}</small></h1>\n{about}\
         <p>For programs: <a href=\"{base}/openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>\n{main}</main>\n</body>\n</html>\n",
        version = escape(version),
        about = prose(about),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_document_says_is_text_and_no_markup() {
        let document = json!({
            "info": { "title": "<T>", "version": "\"1\"", "description": "a `<b>` c" },
            "paths": { "/x/{id}": { "get": {
                "operationId": "x", "summary": "<script>alert(1)</script>", "tags": ["t&t"],
                "parameters": [{ "name": "<p>", "in": "query", "schema": { "enum": ["<e>"] } }],
                "responses": { "200": { "description": "<d>",
                    "content": { "application/json": { "schema": { "$ref": "#/components/schemas/S" } } } } } } } },
            "components": { "schemas": { "S": { "type": "object", "properties": { "<f>": { "type": ["string", "null"] } } } } }
        });
        let page = render(&document);
        for raw in ["<script", "<T>", "<b>", "<p></td>", "<e>", "<d>", "<f>"] {
            assert!(!page.contains(raw), "{raw}\n{page}");
        }
        assert!(page.contains("<code>&lt;b&gt;</code>") && page.contains("string or null"), "{page}");
        assert!(page.contains("&quot;&lt;f&gt;&quot;: &quot;text&quot;"), "{page}");
    }

    #[test]
    fn the_page_has_every_operation_and_each_link_leads_somewhere() {
        for item in DOCUMENT["paths"].as_object().unwrap().values() {
            for operation in item.as_object().unwrap().values() {
                let id = operation["operationId"].as_str().unwrap();
                assert!(PAGE.contains(&format!("id=\"{id}\"")), "{id}");
            }
        }
        for link in PAGE.split("href=\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(PAGE.contains(&format!("id=\"{link}\"")), "#{link} leads nowhere");
        }
        // A strict content security policy would block them.
        for forbidden in ["<script", "style=", "http://", "https://"] {
            assert!(!PAGE.contains(forbidden), "{forbidden}");
        }
    }
}
