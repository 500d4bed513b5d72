"""A published client of DingTalk robots (PyPI's DingtalkChatbot) and Herald send the same message;
their requests are compared field by field: the sign, the headers, and every key of the body.

The client writes links in a form that opens them in DingTalk's own window; that one habit of its is
switched off.
"""

import json
import urllib.parse

from dingtalkchatbot.chatbot import ActionCard, CardItem, DingtalkChatbot

from herald import Far, Herald, check, failed_attach, main

SECRET = "SEC0f6e2d4c8b1a3957e0f6e2d4c8b1a3957e0f6e2d4c8b1a3957e0f6e2d4c8b1a39"
TOKEN = "5bd35c51fbb348deb8ec6ef9a51e8b0b"

# What Herald says beyond the client, by where it stands, and why.
BEYOND = {
    "msgUuid": "the robot shows a message once, however often it is sent",
    "at.atMobiles": "an empty list calls nobody, as no list does",
    "at.atUserIds": "an empty list calls nobody, as no list does",
    "at.isAtAll": "false is what the client means by leaving it out",
}
# What the client says beyond Herald.
LEFT_OUT = {
    "actionCard.hideAvatar": "'0' shows the robot's picture, as saying nothing does",
    "at": "an empty object calls nobody",
}


def fields(value, path=""):
    """Every leaf of a document by its path; lists are leaves."""
    if isinstance(value, dict) and value:
        return {
            place: leaf
            for key, below in value.items()
            for place, leaf in fields(below, f"{path}.{key}" if path else key).items()
        }
    return {path: value}


def compare(what, ours, theirs):
    for place in sorted(ours.keys() | theirs.keys()):
        if place not in theirs:
            reason = BEYOND.get(place)
            is_silent = place == "msgUuid" or ours[place] in ([], False)
            check(reason and is_silent, f"{what}: {place} is Herald's own: {reason}")
        elif place not in ours:
            reason = LEFT_OUT.get(place)
            check(reason and theirs[place] in ({}, "0"), f"{what}: {place} is left out: {reason}")
        else:
            check(ours[place] == theirs[place], f"{what}: {place} is the same")


def client(url, started_ms):
    """The client as it would have sent at the moment of Herald's attempt."""
    bot = DingtalkChatbot(url, secret=SECRET)
    bot.msg_open_type = lambda link: link
    bot.webhook = url
    bot.start_time = started_ms / 1000
    bot.update_webhook()
    return bot


def send(bot, message):
    """Has the client send what Herald's `message` says."""
    at = message.get("at", {})
    called = {
        "is_at_all": at.get("isAtAll", False),
        "at_mobiles": at.get("atMobiles", []),
        "at_dingtalk_ids": at.get("atUserIds", []),
        # Herald has written the numbers into the text already.
        "is_auto_at": False,
    }
    kind = message["msgtype"]
    if kind == "markdown":
        bot.send_markdown(message["markdown"]["title"], message["markdown"]["text"], **called)
    elif kind == "text":
        bot.send_text(message["text"]["content"], **called)
    else:
        card = message["actionCard"]
        buttons = [CardItem(button["title"], button["actionURL"]) for button in card["btns"]]
        # The client hands both on as they are given; the open platform's page writes them as texts.
        looks = {"btn_orientation": "0", "hide_avatar": "0"}
        bot.send_action_card(ActionCard(card["title"], card["text"], buttons, **looks))


def body():
    with Far(lambda _: (200, b'{"errcode":0,"errmsg":"ok"}')) as far:
        url = f"http://{far.address}/robot/send?access_token={TOKEN}"
        robot = f'kind = "dingtalk"\nwebhook = "{url}"\nsecret = "{SECRET}"\n'
        sinks = f"""
[sink.plain]
{robot}message = "text"
at_all = true

[sink.marked]
{robot}message = "markdown"
at_mobiles = ["13800000000", "+86-13900000000"]
at_user_ids = ["manager1234"]

[sink.card]
{robot}message = "action-card"
[[sink.card.buttons]]
title = "Runbook"
url = "https://wiki.example.com/eni?a=1&b=2"
[[sink.card.buttons]]
title = "控制台"
url = "https://ecs.console.example.com/"
"""
        with Herald(sinks) as herald:
            event = herald.send(failed_attach(1))
            for sink in ("plain", "marked", "card"):
                herald.delivery_when(
                    event, sink, f"delivery to {sink}", lambda one: one["state"] == "delivered"
                )
        ours = list(far.requests)
        check(len(ours) == 3, "Herald sent its three messages")
        for path, headers, sent in ours:
            message = json.loads(sent)
            what = message["msgtype"]
            query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(path).query))
            bot = client(url, int(query["timestamp"]))
            send(bot, message)
            their_path, their_headers, their_body = far.requests[-1]
            check(path == their_path, f"{what}: token, timestamp and sign are the same, byte for byte")
            check(
                lower(headers)["content-type"] == lower(their_headers)["content-type"],
                f"{what}: the content type is the same",
            )
            compare(what, fields(message), fields(json.loads(their_body)))


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


main(body)
