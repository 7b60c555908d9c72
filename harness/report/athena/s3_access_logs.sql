-- Server access logs with date-based partitioned keys; columns are named as in the S3 User Guide's own example.
-- Replace LOG-BUCKET, PREFIX, ACCOUNT, REGION, SOURCE-BUCKET and the first day. With simple-prefix keys there is nothing
-- to project: leave out PARTITIONED BY, the table properties, and the day in the query. '-' means that there is no value.
CREATE EXTERNAL TABLE IF NOT EXISTS s3_access_logs (
  bucketowner STRING,
  bucket_name STRING,
  requestdatetime STRING,
  remoteip STRING,
  requester STRING,
  requestid STRING,
  operation STRING,
  key STRING,
  request_uri STRING,
  httpstatus STRING,
  errorcode STRING,
  bytessent STRING,
  objectsize STRING,
  totaltime STRING,
  turnaroundtime STRING,
  referrer STRING,
  useragent STRING,
  versionid STRING,
  hostid STRING,
  sigv STRING,
  ciphersuite STRING,
  authtype STRING,
  endpoint STRING,
  tlsversion STRING,
  accesspointarn STRING,
  aclrequired STRING,
  sourceregion STRING
)
PARTITIONED BY (day STRING)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.RegexSerDe'
WITH SERDEPROPERTIES (
  'input.regex' = '([^ ]+) ([^ ]+) \\[([^\\]]+)\\] ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) ([^ ]+) (?:"(.*?)"|-) ([0-9]+|-) ([^ ]+) ([0-9]+|-) ([0-9]+|-) ([0-9]+|-) ([0-9]+|-) (?:"(.*?)"|-) (?:"(.*)"|-) ([^ "]+)(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: ([^ "]+))?(?: [^"]*)?'
)
STORED AS INPUTFORMAT 'org.apache.hadoop.mapred.TextInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat'
LOCATION 's3://LOG-BUCKET/PREFIX/ACCOUNT/REGION/SOURCE-BUCKET/'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.day.type' = 'date',
  'projection.day.format' = 'yyyy/MM/dd',
  'projection.day.range' = '2026/01/01,NOW',
  'projection.day.interval' = '1',
  'projection.day.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://LOG-BUCKET/PREFIX/ACCOUNT/REGION/SOURCE-BUCKET/${day}'
);
