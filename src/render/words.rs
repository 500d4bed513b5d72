//! The words of the built-in texts, in each language.

use herald_model::Language;
use herald_model::event::{Eni, EniOperation, EniStatus};

/// What a line of the built-in text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Eni,
    Status,
    Operation,
    Resource,
    Region,
    Account,
    Time,
    Request,
    Content,
    Subscription,
    Event,
}

impl Label {
    /// Whether it is what somebody looks for first.
    pub(super) fn is_main(self) -> bool {
        matches!(self, Self::Eni | Self::Status | Self::Resource)
    }

    pub(super) fn word(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Eni, Language::En) => "ENI",
            (Self::Eni, Language::Zh) => "弹性网卡",
            (Self::Status, Language::En) => "Status",
            (Self::Status, Language::Zh) => "状态",
            (Self::Operation, Language::En) => "Operation",
            (Self::Operation, Language::Zh) => "操作",
            (Self::Resource, Language::En) => "Resource",
            (Self::Resource, Language::Zh) => "资源",
            (Self::Region, Language::En) => "Region",
            (Self::Region, Language::Zh) => "地域",
            (Self::Account, Language::En) => "Account",
            (Self::Account, Language::Zh) => "账号",
            (Self::Time, Language::En) => "Time",
            (Self::Time, Language::Zh) => "时间",
            (Self::Request, Language::En) => "Request",
            (Self::Request, Language::Zh) => "请求",
            (Self::Content, Language::En) => "Content",
            (Self::Content, Language::Zh) => "内容",
            (Self::Subscription, Language::En) => "Subscription",
            (Self::Subscription, Language::Zh) => "订阅",
            (Self::Event, Language::En) => "Event",
            (Self::Event, Language::Zh) => "事件",
        }
    }
}

/// `AttachNetworkInterface failed`; in Chinese the words of the ECS console, `绑定弹性网卡失败`.
pub(super) fn headline(eni: &Eni, language: Language) -> String {
    let done = eni.result.is_success();
    match language {
        Language::En => {
            let result = if done { "succeeded" } else { "failed" };
            format!("{} {result}", eni.operation)
        }
        Language::Zh => {
            let result = if done { "成功" } else { "失败" };
            match &eni.operation {
                EniOperation::Create => format!("创建弹性网卡{result}"),
                EniOperation::Attach => format!("绑定弹性网卡{result}"),
                EniOperation::Detach => format!("解绑弹性网卡{result}"),
                EniOperation::Delete => format!("删除弹性网卡{result}"),
                EniOperation::Other(other) => format!("{other} {result}"),
            }
        }
    }
}

/// What happened to what and where, on one line.
pub(super) fn line(what: &str, about: &str, region: &str, language: Language) -> String {
    let (colon, open, close) = match language {
        Language::En => (": ", " (", ")"),
        Language::Zh => ("：", "（", "）"),
    };
    let mut line = what.to_owned();
    if !about.is_empty() {
        line.push_str(colon);
        line.push_str(about);
    }
    if !region.is_empty() {
        line.push_str(open);
        line.push_str(region);
        line.push_str(close);
    }
    line
}

/// What the result means for whoever reads it; `None` for an operation Herald does not know. The
/// states are those of the ECS documentation ("ENI overview"); the event's own is added where it
/// is another.
pub(super) fn meaning(eni: &Eni, language: Language) -> Option<String> {
    use EniOperation::{Attach, Create, Delete, Detach, Other};
    let done = eni.result.is_success();
    let (text, usual) = match (&eni.operation, done, language) {
        (Create, true, Language::En) => (
            "The ENI was created and is Available.",
            EniStatus::Available,
        ),
        (Create, true, Language::Zh) => (
            "网卡已创建，处于 Available（可用）状态。",
            EniStatus::Available,
        ),
        (Create, false, Language::En) => ("The ENI was not created.", EniStatus::CreateFailed),
        (Create, false, Language::Zh) => ("网卡未能创建。", EniStatus::CreateFailed),
        (Attach, true, Language::En) => ("The ENI is attached: it is InUse.", EniStatus::InUse),
        (Attach, true, Language::Zh) => {
            ("网卡已绑定，处于 InUse（使用中）状态。", EniStatus::InUse)
        }
        (Attach, false, Language::En) => (
            "The ENI was not attached: it is Available again.",
            EniStatus::Available,
        ),
        (Attach, false, Language::Zh) => (
            "网卡未能绑定，已回到 Available（可用）状态。",
            EniStatus::Available,
        ),
        (Detach, true, Language::En) => (
            "The ENI was detached: it is Available again.",
            EniStatus::Available,
        ),
        (Detach, true, Language::Zh) => (
            "网卡已解绑，已回到 Available（可用）状态。",
            EniStatus::Available,
        ),
        (Detach, false, Language::En) => (
            "The ENI was not detached. Detach it again; if it stays Detaching, restart the instance.",
            EniStatus::Detaching,
        ),
        (Detach, false, Language::Zh) => (
            "网卡未能解绑。请重试；若一直处于 Detaching，请重启实例。",
            EniStatus::Detaching,
        ),
        (Delete, true, Language::En) => ("The ENI is gone.", EniStatus::Deleted),
        (Delete, true, Language::Zh) => ("网卡已删除。", EniStatus::Deleted),
        (Delete, false, Language::En) => (
            "The ENI was not deleted. Delete it again.",
            EniStatus::Deleting,
        ),
        (Delete, false, Language::Zh) => ("网卡未能删除，请重试。", EniStatus::Deleting),
        (Other(_), ..) => return None,
    };
    if eni.status == usual || eni.status.as_str().is_empty() {
        return Some(text.to_owned());
    }
    let reported = match language {
        Language::En => format!("Reported state: {}.", eni.status),
        Language::Zh => format!("上报状态：{}。", eni.status),
    };
    Some(format!("{text} {reported}"))
}

/// The first line of a message of several items.
pub(super) fn summary(
    total: usize,
    by_level: &[(&'static str, usize)],
    language: Language,
) -> String {
    let counts: Vec<_> = by_level
        .iter()
        .map(|(level, count)| format!("{count} {level}"))
        .collect();
    match language {
        Language::En => format!("{total} events: {}", counts.join(", ")),
        Language::Zh => format!("{total} 个事件：{}", counts.join("，")),
    }
}

/// On a button.
pub(super) fn open_in_console(language: Language) -> &'static str {
    match language {
        Language::En => "Open in the console",
        Language::Zh => "在控制台查看",
    }
}

/// Says, in the fallback text, that the template failed.
pub(super) fn template_failed(error: &str, language: Language) -> String {
    match language {
        Language::En => format!("(The template failed, so this is the built-in text: {error})"),
        Language::Zh => format!("（模板渲染失败，以下为内置文本：{error}）"),
    }
}
