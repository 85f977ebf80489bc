"""What the SDKs of Alibaba Cloud check before the credentials URI."""

from __future__ import annotations

import pytest

from app.core.client_chain import without_java_keys

ID, SECRET = "-Dalibabacloud.accessKeyId=LTAI0", "-Dalibabacloud.accessKeySecret=s"


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("", ""),
        ("-Xmx1g", "-Xmx1g"),
        (f"{ID} {SECRET}", ""),
        (f"-Xmx1g {ID} {SECRET} -Dx=y", "-Xmx1g -Dx=y"),
        (f'"{ID} x" -Dx="a b"', '-Dx="a b"'),
        (f"'{ID}'  -Dx=y", "-Dx=y"),
        ('-Dalibabacloud.sessionToken="a b" -Dx=y', "-Dx=y"),
        ("-Dalibabacloud.accessKeyIdSecret=s -Doss.accessKeyId=a -Doss.sessionToken= -ea", "-ea"),
        ("-Dalibabacloud.accessKeyIds=x", "-Dalibabacloud.accessKeyIds=x"),
        ("-Dx=-Dalibabacloud.accessKeyId=y", "-Dx=-Dalibabacloud.accessKeyId=y"),
        (f'-Dn="b" -Dargs="-Da=1 {ID}" -Dbar="z q"', f'-Dn="b" -Dargs="-Da=1 {ID}" -Dbar="z q"'),
        (f'"-Dargs=1 {ID}" -Dbar=1 "-Dn=2 3"', f'"-Dargs=1 {ID}" -Dbar=1 "-Dn=2 3"'),
        ('"-Dalibabacloud.accessKeyId"=K -ea', "-ea"),
        ('-D"alibabacloud.accessKeyId"=K -ea', "-ea"),
        ("-D'alibabacloud.accessKeyId=K' -ea", "-ea"),
        (f'"{ID}"EY -ea', "-ea"),
        (f"-ea {ID} it's", f"-ea {ID} it's"),
        ("-Dmy.alibabacloud.accessKeyId=y", "-Dmy.alibabacloud.accessKeyId=y"),
    ],
)
def test_java_options_with_keys_are_removed(value: str, kept: str) -> None:
    """The options that set an AccessKey as a property of Java are removed, with their quotes; all others stay."""
    assert without_java_keys(value) == kept
