"""The two generations of the client, under one interface."""

import datetime
import importlib
import json
import typing
from unittest import mock

from aliyunsdkcore.acs_exception.exceptions import ServerException
from aliyunsdkcore.client import AcsClient
from aliyunsdkcore.utils import parameter_helper
from alibabacloud_ons20190214 import models
from alibabacloud_ons20190214.client import Client
from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
from alibabacloud_tea_openapi.utils import Utils
from alibabacloud_tea_openapi.utils_models import Config

REGION = "conformance"
TIME = "%Y-%m-%dT%H:%M:%SZ"


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code, message, request_id):
        super().__init__(f"{code}: {message}")
        self.code, self.request_id = code, request_id


def earlier(minutes):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now - datetime.timedelta(minutes=minutes)).strftime(TIME)


class Modern:
    """alibabacloud-ons20190214: signed in headers."""

    wrong_secret = "SignatureDoesNotMatch"

    def __init__(self, endpoint, access_key, secret_key):
        self._client = Client(Config(access_key_id=access_key, access_key_secret=secret_key, endpoint=endpoint,
                                     region_id=REGION, protocol="http"))
        # The generator's rules for names with several capitals are its own.
        self._methods = {name.replace("_", ""): name for name in dir(self._client)}

    def call(self, operation, **parameters):
        method = getattr(self._client, self._methods[operation.lower()])
        request = getattr(models, f"{operation}Request", None)
        try:
            answer = method(request().from_map(parameters)) if request else method()
        except AlibabaCloudException as error:
            raise Refused(error.code, error.message, error.request_id) from error
        check_types(answer.body, operation)
        if not answer.body.request_id:
            raise AssertionError(f"{operation} has no id of the request")
        return answer.body.to_map()

    def fixed_nonce(self, nonce):
        return mock.patch.object(Utils, "get_nonce", staticmethod(lambda: nonce))

    def clock_behind(self, minutes):
        return mock.patch.object(Utils, "get_timestamp", staticmethod(lambda: earlier(minutes)))


def check_types(value, where):
    """Fails where a field of an answer is not of the type that its model declares: the client looks at none."""
    hints = typing.get_type_hints(type(value).__init__, {**vars(typing), "main_models": models})
    for name, declared in hints.items():
        found = getattr(value, name, None)
        if found is None:
            continue
        place = f"{where}.{name}"
        is_list = typing.get_origin(declared) is list
        if is_list and not isinstance(found, list):
            raise AssertionError(f"{place} is no list: {found!r}")
        kind = typing.get_args(declared)[0] if is_list else declared
        for one in found if is_list else [found]:
            expected = {float: (float, int)}.get(kind, kind)
            if not isinstance(one, expected) or (isinstance(one, bool) and kind is not bool):
                raise AssertionError(f"{place} is {one!r}, the model says {kind.__name__}")
            if hasattr(one, "to_map"):
                check_types(one, place)


class Classic:
    """aliyun-python-sdk-ons: signed in the query."""

    # What this client makes of it once the server has shown the same text to sign as its own.
    wrong_secret = "InvalidAccessKeySecret"

    def __init__(self, endpoint, access_key, secret_key):
        self._endpoint = endpoint
        self._client = AcsClient(access_key, secret_key, REGION, auto_retry=False)

    def call(self, operation, **parameters):
        module = importlib.import_module(f"aliyunsdkons.request.v20190214.{operation}Request")
        request = getattr(module, f"{operation}Request")()
        request.set_endpoint(self._endpoint)
        request.set_protocol_type("http")
        for name, value in parameters.items():
            # Lists have an s at their end here, and parameters that came later have no setter.
            setter = getattr(request, f"set_{name}", None) or getattr(request, f"set_{name}s", None)
            if setter:
                setter(value)
            else:
                request.add_query_param(name, value)
        try:
            answer = json.loads(self._client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(error.get_error_code(), error.get_error_msg(), error.get_request_id()) from error
        if not answer.get("RequestId"):
            raise AssertionError(f"{operation} has no id of the request")
        return answer

    def fixed_nonce(self, nonce):
        return mock.patch.object(parameter_helper, "get_uuid", lambda: nonce)

    def clock_behind(self, minutes):
        return mock.patch.object(parameter_helper, "get_iso_8061_date", lambda: earlier(minutes))


CLIENTS = {"modern": Modern, "classic": Classic}
