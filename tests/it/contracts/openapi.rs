//! A small, strict reader of OpenAPI 3.0 files: finds the operation of a recorded
//! call and tells where request and answer differ from it. Objects are closed,
//! as the vendors' validators are: a property the file does not know is wrong.

use df_middleware::sandbox::Call;
use serde_json::{Map, Value};

/// An OpenAPI file and the one its references into another file mean.
pub struct Document {
    root: Value,
    common: Value,
}

/// A call held against its operation.
#[derive(Debug)]
pub struct Checked {
    /// `POST /contacts/{contactId}/tags`.
    pub operation: String,
    /// What is not as the file says, one sentence each.
    pub wrong: Vec<String>,
}

/// How a schema is read.
#[derive(Clone, Copy, PartialEq)]
enum Reading {
    /// Unknown properties are wrong.
    Closed,
    /// They are not: vendors say more in errors than they document.
    Open,
}

impl Document {
    pub fn new(root: Value, common: Value) -> Self {
        Self { root, common }
    }

    /// Holds a call against its operation; `None` when the file has none.
    pub fn check(&self, call: &Call) -> Option<Checked> {
        let (template, operation) = self.operation(&call.method, &call.path)?;
        let mut wrong = Vec::new();
        self.check_parameters(operation, call, &mut wrong);
        self.check_body(operation, call, &mut wrong);
        self.check_answer(operation, call, &mut wrong);
        let operation = format!("{} {template}", call.method);
        Some(Checked { operation, wrong })
    }

    /// The operation whose path matches with the fewest placeholders.
    fn operation(&self, method: &str, path: &str) -> Option<(&str, &Value)> {
        let wanted: Vec<&str> = path.split('/').collect();
        let paths = self.root["paths"].as_object()?.iter();
        paths
            .filter_map(|(template, item)| {
                let parts: Vec<&str> = template.split('/').collect();
                let open = |part: &str| part.starts_with('{');
                let fits = |(part, given): (&&str, &&str)| part == given || (open(part) && !given.is_empty());
                let same = parts.len() == wanted.len() && parts.iter().zip(&wanted).all(fits);
                let operation = item.get(method.to_lowercase()).filter(|_| same)?;
                Some((parts.iter().filter(|part| open(part)).count(), template, operation))
            })
            .min_by_key(|(placeholders, ..)| *placeholders)
            .map(|(_, template, operation)| (template.as_str(), operation))
    }

    fn check_parameters(&self, operation: &Value, call: &Call, wrong: &mut Vec<String>) {
        let declared: Vec<&Value> = operation["parameters"].as_array().into_iter().flatten().collect();
        for parameter in &declared {
            let name = parameter["name"].as_str().unwrap_or_default();
            let given = match parameter["in"].as_str() {
                Some("query") => call.query.get(name),
                Some("header") => call.headers.get(&name.to_lowercase()),
                _ => continue,
            };
            match given {
                None if parameter["required"] == true => wrong.push(format!("{name} is missing")),
                None => {}
                Some(text) => {
                    let number = text.parse::<f64>().ok().map(Value::from);
                    let text = Value::from(text.as_str());
                    let value = if parameter["schema"]["type"] == "number" {
                        number
                    } else {
                        Some(text)
                    };
                    self.check_value(
                        &parameter["schema"],
                        &value.unwrap_or_default(),
                        name,
                        Reading::Closed,
                        wrong,
                    );
                }
            }
        }
        let known = |name: &str| declared.iter().any(|one| one["in"] == "query" && one["name"] == name);
        let unknown = call.query.keys().filter(|name| !known(name));
        wrong.extend(unknown.map(|name| format!("query {name} is not known")));
    }

    fn check_body(&self, operation: &Value, call: &Call, wrong: &mut Vec<String>) {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            if !call.body.is_null() {
                wrong.push("there is no body here".to_owned());
            }
            return;
        }
        let kind = call.headers.get("content-type").map(String::as_str).unwrap_or_default();
        if !kind.starts_with("application/json") {
            wrong.push("the body is not declared as JSON".to_owned());
        }
        self.check_value(schema, &call.body, "body", Reading::Closed, wrong);
    }

    /// Only the simulator's own answers: what a fault says is its own affair.
    fn check_answer(&self, operation: &Value, call: &Call, wrong: &mut Vec<String>) {
        let (Some(answer), Some(status)) = (&call.answer, call.status) else {
            return;
        };
        let success = (200..300).contains(&status);
        let Some(response) = operation["responses"].get(status.to_string()) else {
            // What is refused with an undocumented status was seen live.
            if success {
                wrong.push(format!("{status} is no documented answer"));
            }
            return;
        };
        let schema = &response["content"]["application/json"]["schema"];
        if schema.is_null() {
            return;
        }
        let reading = if success { Reading::Closed } else { Reading::Open };
        match serde_json::from_slice(answer) {
            Ok(value) => self.check_value(schema, &value, &format!("answer {status}"), reading, wrong),
            Err(_) => wrong.push(format!("answer {status} is no JSON")),
        }
    }

    fn check_value(&self, schema: &Value, value: &Value, at: &str, reading: Reading, wrong: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        for part in list(schema, "allOf") {
            self.check_value(part, value, at, reading, wrong);
        }
        for choice in ["anyOf", "oneOf"] {
            let mut options = list(schema, choice).peekable();
            let fits = |option| {
                let mut found = Vec::new();
                self.check_value(option, value, at, reading, &mut found);
                found.is_empty()
            };
            if options.peek().is_some() && !options.any(fits) {
                wrong.push(format!("{at} is none of its {choice}"));
            }
        }
        if !is_kind(schema, value) {
            wrong.push(format!("{at} is no {}", schema["type"]));
            return;
        }
        if schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
            wrong.push(format!("{at} is not one of {}", schema["enum"]));
        }
        match value {
            Value::Object(map) => self.check_object(schema, map, at, reading, wrong),
            Value::Array(items) if schema.get("items").is_some() => {
                for (place, item) in items.iter().enumerate() {
                    self.check_value(&schema["items"], item, &format!("{at}[{place}]"), reading, wrong);
                }
            }
            _ => {}
        }
    }

    fn check_object(
        &self,
        schema: &Value,
        map: &Map<String, Value>,
        at: &str,
        reading: Reading,
        wrong: &mut Vec<String>,
    ) {
        let required = list(schema, "required").filter_map(Value::as_str);
        let missing = required.filter(|name| !map.contains_key(*name));
        wrong.extend(missing.map(|name| format!("{at}.{name} is missing")));
        let Some(properties) = schema["properties"].as_object() else {
            return;
        };
        let closed = reading == Reading::Closed && schema["additionalProperties"] != true;
        for (name, inner) in map {
            match properties.get(name) {
                Some(known) => self.check_value(known, inner, &format!("{at}.{name}"), reading, wrong),
                None if closed => wrong.push(format!("{at}.{name} is not known")),
                None => {}
            }
        }
    }

    /// Follows a reference: `#/…` here, anything else in the common file.
    fn resolve<'d>(&'d self, schema: &'d Value) -> &'d Value {
        let Some(reference) = schema["$ref"].as_str() else {
            return schema;
        };
        let (file, pointer) = reference.split_once('#').unwrap();
        let document = if file.is_empty() { &self.root } else { &self.common };
        let target = document.pointer(pointer);
        self.resolve(target.unwrap_or_else(|| panic!("{reference} leads nowhere")))
    }
}

fn list<'s>(schema: &'s Value, name: &str) -> impl Iterator<Item = &'s Value> {
    schema[name].as_array().into_iter().flatten()
}

/// Whether the value is of the schema's type. GHL's generator writes `object`
/// without properties for whatever it could not name, `direction` among them.
fn is_kind(schema: &Value, value: &Value) -> bool {
    match schema["type"].as_str() {
        Some("object") => value.is_object() || schema.get("properties").is_none(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("number") => value.is_number(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("boolean") => value.is_boolean(),
        None | Some("any") => true,
        Some(other) => panic!("unknown type {other}"),
    }
}
