"""The client of the OpenAPI 2022-08-01, with its answers held against its own models."""

import datetime
import typing
from unittest import mock

from alibabacloud_rocketmq20220801 import models
from alibabacloud_rocketmq20220801.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config

REGION = "conformance"


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, error):
        super().__init__(f"{error.code}: {error.message}")
        self.code, self.status, self.request_id = error.code, error.status_code, error.request_id


class Api:
    """alibabacloud-rocketmq20220801: only where it connects to is told."""

    def __init__(self, endpoint, access_key, secret_key):
        self._client = Client(Config(access_key_id=access_key, access_key_secret=secret_key, endpoint=endpoint,
                                     region_id=REGION, protocol="http"))
        self._methods = {name.replace("_", ""): name for name in dir(self._client)}

    def call(self, operation, *names, **parameters):
        """The `data` of the answer, as the model has it."""
        body = self.bare(operation, *names, **parameters)
        if not (body["requestId"] and body["success"] is True and body["httpStatusCode"] == 200):
            raise AssertionError(f"{operation} has another envelope: {body}")
        return body.get("data")

    def bare(self, operation, *names, **parameters):
        """The whole answer, as the model has it."""
        method = getattr(self._client, self._methods[operation.lower()])
        request = getattr(models, f"{operation}Request", None)
        arguments = [*names, request().from_map(parameters)] if request else names
        try:
            answer = method(*arguments)
        except AlibabaCloudException as error:
            raise Refused(error) from error
        check_types(answer.body, operation)
        return answer.body.to_map()

    def fixed_nonce(self, nonce):
        return mock.patch.object(Utils, "get_nonce", staticmethod(lambda: nonce))

    def clock_behind(self, minutes):
        then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes)
        return mock.patch.object(Utils, "get_timestamp", staticmethod(lambda: then.strftime("%Y-%m-%dT%H:%M:%SZ")))


def check_types(value, where):
    """Fails where a field of an answer is not of the type that its model declares: the client looks at none."""
    hints = typing.get_type_hints(type(value).__init__, {**vars(typing), "main_models": models})
    for name, declared in hints.items():
        found = getattr(value, name, None)
        if found is None or declared is type(None):
            continue
        place = f"{where}.{name}"
        if typing.get_origin(declared) is dict:
            if not isinstance(found, dict):
                raise AssertionError(f"{place} is no object: {found!r}")
            continue
        is_list = typing.get_origin(declared) is list
        if is_list and not isinstance(found, list):
            raise AssertionError(f"{place} is no list: {found!r}")
        kind = typing.get_args(declared)[0] if is_list else declared
        if kind is typing.Any:
            continue
        for one in found if is_list else [found]:
            expected = {float: (float, int)}.get(kind, kind)
            if not isinstance(one, expected) or (isinstance(one, bool) and kind is not bool):
                raise AssertionError(f"{place} is {one!r}, the model says {kind.__name__}")
            if hasattr(one, "to_map"):
                check_types(one, place)
