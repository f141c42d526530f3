//! `rezarr tree`: the hierarchy below a group, as zarr-python draws it.

use std::collections::BTreeMap;

use rezarr::{Error, Node, NodeMetadata};
use serde_json::{Value, json};

use crate::Answer;
use crate::args::TreeArgs;
use crate::output::{escaped, fault, json as print_json, line};

/// A node and what is below it.
#[derive(Default)]
struct Branch {
    label: String,
    details: Value,
    children: BTreeMap<String, Branch>,
}

/// Prints the tree.
pub(crate) fn run(args: &TreeArgs) -> Answer {
    let mut root = Branch::default();
    match Node::open(&args.path)? {
        Node::Array(array) => root.describe(&NodeMetadata::Array(Box::new(array.metadata().clone()))),
        Node::Group(group) => {
            root.describe(&NodeMetadata::Group(Box::new(group.metadata().clone())));
            group.walk_each(&mut |path, node| {
                let depth = path.split('/').count();
                if args.level.is_none_or(|level| depth <= level) {
                    match node {
                        Ok(node) => root.at(path).describe(&node),
                        Err(error) => root.at(path).describe_fault(&error),
                    }
                }
                Ok(())
            })?;
        }
    }
    if args.json {
        print_json(&root.to_json())?;
    } else {
        line(escaped(&format!("/{}", root.label)).trim_end())?;
        root.print("")?;
    }
    Ok(true)
}

impl Branch {
    fn at(&mut self, path: &str) -> &mut Self {
        path.split('/').fold(self, |branch, name| branch.children.entry(name.to_owned()).or_default())
    }

    fn describe(&mut self, node: &NodeMetadata) {
        match node {
            NodeMetadata::Array(array) => {
                let shape: Vec<String> = array.shape().iter().map(u64::to_string).collect();
                let comma = if shape.len() == 1 { "," } else { "" };
                self.label = format!(" ({}{comma}) {}", shape.join(", "), array.data_type().name());
                self.details = json!({"node_type": "array", "shape": array.shape(), "data_type": array.data_type().name(), "chunk_shape": array.chunk_shape()});
            }
            NodeMetadata::Group(_) => self.details = json!({"node_type": "group"}),
        }
    }

    /// A node that is there, but cannot be read, does not hide the others.
    fn describe_fault(&mut self, error: &Error) {
        let fault = fault(error);
        self.label = format!(" ({fault})");
        self.details = json!({"not_readable": fault});
    }

    fn print(&self, indent: &str) -> Result<(), Error> {
        let count = self.children.len();
        for (position, (name, child)) in self.children.iter().enumerate() {
            let last = position + 1 == count;
            line(&format!("{indent}{}{}", if last { "└── " } else { "├── " }, escaped(&format!("{name}{}", child.label))))?;
            child.print(&format!("{indent}{}", if last { "    " } else { "│   " }))?;
        }
        Ok(())
    }

    fn to_json(&self) -> Value {
        let mut value = self.details.clone();
        if !self.children.is_empty() {
            let children: serde_json::Map<String, Value> =
                self.children.iter().map(|(name, child)| (name.clone(), child.to_json())).collect();
            value["children"] = Value::Object(children);
        }
        value
    }
}
