"""A small app that shows what reaches a function and what becomes of its answer."""

import asyncio
import json
import os
import threading
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)

NOTES = Path(os.environ.get("SAMPLE_NOTES", os.devnull))
_LOCK = threading.Lock()


def note(**what: object) -> None:
    """Append one line for the test to read; O_APPEND keeps lines of several workers whole."""
    with _LOCK, NOTES.open("a", encoding="utf-8") as file:
        file.write(json.dumps({**what, "pid": os.getpid(), "at": time.time()}) + "\n")


@app.route(route="echo/{id?}", auth_level=func.AuthLevel.ANONYMOUS)
def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "headers": dict(req.headers),
        "params": dict(req.params),
        "route_params": dict(req.route_params),
        "body": req.get_body().decode("latin-1"),
        "invocation_id": context.invocation_id,
        "function_name": context.function_name,
        "trace": context.trace_context.trace_parent,
    }
    return func.HttpResponse(json.dumps(seen), mimetype="application/json")


@app.route(route="items/{id:guid}/parts/{*rest}", methods=["GET"], auth_level="anonymous")
def item_parts(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(json.dumps(dict(req.route_params)))


@app.route(route="/", methods=["GET"], auth_level="anonymous")
def home(req: func.HttpRequest) -> str:
    return "home"


@app.route(route="guarded", methods=["GET", "POST"])
def guarded(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("in")


@app.route(route="owner", auth_level=func.AuthLevel.ADMIN)
def owner(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("owner")


@app.route(route="cookies", auth_level="anonymous")
def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("ok")
    response.headers.add("Set-Cookie", "plain=a+b/c=")
    response.headers.add(
        "Set-Cookie",
        "__Secure-flow=v1; Path=/api; Max-Age=600; Secure; HttpOnly; SameSite=None",
    )
    response.headers.add("Set-Cookie", "gone=1; Path=/; Partitioned")
    response.headers.add("Vary", "Accept")
    response.headers.add("Vary", "Origin")
    return response


@app.route(route="fails", auth_level="anonymous")
def fails(req: func.HttpRequest) -> func.HttpResponse:
    raise ValueError("what went wrong")


@app.route(route="fails-later", auth_level="anonymous")
async def fails_later(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0)
    raise ValueError("what went wrong")


@app.route(route="size", auth_level="anonymous")
def size(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(len(req.get_body())))


@app.route(route="nothing", auth_level="anonymous")
def nothing(req: func.HttpRequest) -> func.HttpResponse:
    return None  # type: ignore[return-value]


@app.route(route="slow", auth_level="anonymous")
def slow(req: func.HttpRequest) -> func.HttpResponse:
    note(event="slow-began")
    time.sleep(float(req.params.get("seconds", "0.5")))
    note(event="slow-ended")
    return func.HttpResponse(str(os.getpid()))


@app.route(route="async", auth_level="anonymous")
async def slow_async(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(0.2)
    return func.HttpResponse(threading.current_thread().name)


@app.route(route="enqueue", auth_level="anonymous")
@app.queue_output(arg_name="out", queue_name="%SAMPLE_QUEUE%", connection="AzureWebJobsStorage")
def enqueue(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set(req.get_body().decode())
    return func.HttpResponse(status_code=202)


@app.queue_trigger(arg_name="msg", queue_name="%SAMPLE_QUEUE%", connection="AzureWebJobsStorage")
def work(msg: func.QueueMessage) -> None:
    body = msg.get_body().decode("latin-1")
    note(
        event="work",
        body=body,
        id=msg.id,
        dequeue_count=msg.dequeue_count,
        pop_receipt=msg.pop_receipt,
        insertion_time=msg.insertion_time.isoformat() if msg.insertion_time else None,
        expiration_time=msg.expiration_time.isoformat() if msg.expiration_time else None,
        time_next_visible=msg.time_next_visible.isoformat() if msg.time_next_visible else None,
    )
    if body.startswith("fail"):
        raise RuntimeError("the body says so")
    if body.startswith("sleep"):
        time.sleep(float(body.split()[1]))
        note(event="work-ended", body=body)


@app.queue_trigger(
    arg_name="msg", queue_name="%SAMPLE_QUEUE%-poison", connection="AzureWebJobsStorage"
)
def buried(msg: func.QueueMessage) -> None:
    note(event="buried", body=msg.get_body().decode(), id=msg.id, dequeue_count=msg.dequeue_count)
    if os.environ.get("SAMPLE_BURIED_FAILS"):
        raise RuntimeError("a poison message cannot be handled")


@app.timer_trigger(arg_name="timer", schedule="*/1 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    note(event="tick", past_due=timer.past_due)


@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * *", run_on_startup=True)
def nightly(timer: func.TimerRequest) -> None:
    note(event="nightly", past_due=timer.past_due)
