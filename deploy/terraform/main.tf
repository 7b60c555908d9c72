# Made by `s3logjam policy --output terraform`: change the declarations, then make it again.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

variable "repository" {
  description = "GitHub repository whose workflows may assume the role, as owner/name"
  type        = string
}

variable "branch" {
  description = "Branch whose workflows may assume the role"
  type        = string
  default     = "main"
}

variable "provider_arn" {
  description = "ARN of the account's OIDC provider for GitHub; empty to make one"
  type        = string
  default     = ""
}

variable "role_name" {
  description = "Name of the role"
  type        = string
  default     = "s3logjam"

  validation {
    condition     = !startswith(var.role_name, "s3lm-")
    error_message = "A run deletes roles whose names begin with s3lm-: choose another."
  }
}

data "aws_caller_identity" "current" {}

data "aws_region" "current" {}

locals {
  account = data.aws_caller_identity.current.account_id
  region  = data.aws_region.current.id
}

resource "aws_iam_openid_connect_provider" "github" {
  count = var.provider_arn == "" ? 1 : 0
  url   = "https://token.actions.githubusercontent.com"
  client_id_list = [
    "sts.amazonaws.com",
  ]
}

resource "aws_iam_policy" "run1" {
  name        = "${var.role_name}-1"
  description = "What a run of s3logjam may do"
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "S3Any"
        Effect = "Allow"
        Action = [
          "s3:GetAccessPoint",
          "s3:GetAccountPublicAccessBlock",
          "s3:ListAccessPoints",
          "s3:ListAllMyBuckets",
          "s3:ListMultiRegionAccessPoints",
          "s3express:ListAllMyDirectoryBuckets",
        ]
        Resource = [
          "*",
        ]
      },
      {
        Sid    = "CloudtrailTrail"
        Effect = "Allow"
        Action = [
          "cloudtrail:AddTags",
          "cloudtrail:CreateTrail",
          "cloudtrail:DeleteTrail",
          "cloudtrail:PutEventSelectors",
          "cloudtrail:StartLogging",
          "cloudtrail:StopLogging",
        ]
        Resource = [
          "arn:aws:cloudtrail:${local.region}:${local.account}:trail/s3lm-*",
        ]
      },
      {
        Sid    = "IamRole"
        Effect = "Allow"
        Action = [
          "iam:PassRole",
        ]
        Resource = [
          "arn:aws:iam::${local.account}:role/s3lm-*",
        ]
        Condition = {
          StringEquals = {
            "iam:PassedToService" = [
              "batchoperations.s3.amazonaws.com",
              "s3.amazonaws.com",
            ]
          }
        }
      },
      {
        Sid    = "IamRole2"
        Effect = "Allow"
        Action = [
          "iam:CreateRole",
          "iam:DeleteRole",
          "iam:TagRole",
          "sts:AssumeRole",
        ]
        Resource = [
          "arn:aws:iam::${local.account}:role/s3lm-*",
        ]
      },
      {
        Sid    = "S3Bucket"
        Effect = "Allow"
        Action = [
          "s3:CreateBucket",
        ]
        Resource = [
          "arn:aws:s3:::s3lm-*",
        ]
        Condition = {
          StringEquals = {
            "s3:x-amz-bucket-namespace" = "account-regional"
          }
          StringEqualsIfExists = {
            "aws:ResourceAccount" = "${local.account}"
          }
        }
      },
      {
        Sid    = "S3Bucket2"
        Effect = "Allow"
        Action = [
          "s3:CreateBucketMetadataTableConfiguration",
          "s3:DeleteBucket",
          "s3:DeleteBucketMetadataTableConfiguration",
          "s3:DeleteBucketPolicy",
          "s3:DeleteBucketWebsite",
          "s3:GetAccelerateConfiguration",
          "s3:GetAnalyticsConfiguration",
          "s3:GetBucketAbac",
          "s3:GetBucketAcl",
          "s3:GetBucketCORS",
          "s3:GetBucketLocation",
          "s3:GetBucketLogging",
          "s3:GetBucketMetadataTableConfiguration",
          "s3:GetBucketNotification",
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls",
          "s3:GetBucketPolicy",
          "s3:GetBucketPolicyStatus",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketRequestPayment",
          "s3:GetBucketTagging",
          "s3:GetBucketVersioning",
          "s3:GetBucketWebsite",
          "s3:GetEncryptionConfiguration",
          "s3:GetIntelligentTieringConfiguration",
          "s3:GetInventoryConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:GetMetricsConfiguration",
          "s3:GetReplicationConfiguration",
          "s3:ListBucketMultipartUploads",
          "s3:ListBucketVersions",
          "s3:PutAccelerateConfiguration",
          "s3:PutAnalyticsConfiguration",
          "s3:PutBucketAbac",
          "s3:PutBucketAcl",
          "s3:PutBucketCORS",
          "s3:PutBucketLogging",
          "s3:PutBucketNotification",
          "s3:PutBucketObjectLockConfiguration",
          "s3:PutBucketOwnershipControls",
          "s3:PutBucketPolicy",
          "s3:PutBucketPublicAccessBlock",
          "s3:PutBucketRequestPayment",
          "s3:PutBucketTagging",
          "s3:PutBucketVersioning",
          "s3:PutBucketWebsite",
          "s3:PutEncryptionConfiguration",
          "s3:PutIntelligentTieringConfiguration",
          "s3:PutInventoryConfiguration",
          "s3:PutLifecycleConfiguration",
          "s3:PutMetricsConfiguration",
          "s3:PutReplicationConfiguration",
          "s3:UpdateBucketMetadataAnnotationTableConfiguration",
          "s3:UpdateBucketMetadataInventoryTableConfiguration",
          "s3:UpdateBucketMetadataJournalTableConfiguration",
        ]
        Resource = [
          "arn:aws:s3:::s3lm-*",
        ]
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = "${local.account}"
          }
        }
      },
      {
        Sid    = "S3BucketAccessPoint"
        Effect = "Allow"
        Action = [
          "s3:ListBucket",
        ]
        Resource = [
          "arn:aws:s3:::s3lm-*",
          "arn:aws:s3:${local.region}:${local.account}:accesspoint/s3lm-*",
        ]
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = "${local.account}"
          }
        }
      },
      {
        Sid    = "S3Object"
        Effect = "Allow"
        Action = [
          "s3:AbortMultipartUpload",
          "s3:BypassGovernanceRetention",
          "s3:DeleteObjectAnnotation",
          "s3:DeleteObjectTagging",
          "s3:DeleteObjectVersion",
          "s3:GetObjectAcl",
          "s3:GetObjectAnnotation",
          "s3:GetObjectAttributes",
          "s3:GetObjectLegalHold",
          "s3:GetObjectRetention",
          "s3:GetObjectTagging",
          "s3:GetObjectVersion",
          "s3:ListMultipartUploadParts",
          "s3:ListObjectAnnotations",
          "s3:PutObjectAcl",
          "s3:PutObjectAnnotation",
          "s3:PutObjectLegalHold",
          "s3:PutObjectRetention",
          "s3:PutObjectTagging",
          "s3:RestoreObject",
          "s3:UpdateObjectEncryption",
        ]
        Resource = [
          "arn:aws:s3:::s3lm-*/*",
        ]
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = "${local.account}"
          }
        }
      },
      {
        Sid    = "S3ObjectAccessPointObject"
        Effect = "Allow"
        Action = [
          "s3:DeleteObject",
          "s3:GetObject",
          "s3:PutObject",
        ]
        Resource = [
          "arn:aws:s3:::s3lm-*/*",
          "arn:aws:s3:${local.region}:${local.account}:accesspoint/s3lm-*/object/*",
        ]
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = "${local.account}"
          }
        }
      },
      {
        Sid    = "S3AccessPoint"
        Effect = "Allow"
        Action = [
          "s3:CreateAccessPoint",
          "s3:DeleteAccessPoint",
          "s3:DeleteAccessPointPolicy",
          "s3:GetAccessPointPolicy",
          "s3:GetAccessPointPolicyStatus",
          "s3:ListTagsForResource",
          "s3:PutAccessPointPolicy",
          "s3:TagResource",
          "s3:UntagResource",
        ]
        Resource = [
          "arn:aws:s3:${local.region}:${local.account}:accesspoint/s3lm-*",
        ]
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = "${local.account}"
          }
        }
      },
      {
        Sid    = "S3expressDirectoryBucket"
        Effect = "Allow"
        Action = [
          "s3express:CreateBucket",
          "s3express:CreateSession",
          "s3express:DeleteBucket",
        ]
        Resource = [
          "arn:aws:s3express:${local.region}:${local.account}:bucket/s3lm-*",
        ]
      },
      {
        Sid    = "S3tablesTableBucket"
        Effect = "Allow"
        Action = [
          "s3tables:CreateNamespace",
          "s3tables:CreateTable",
          "s3tables:CreateTableBucket",
          "s3tables:PutTableBucketPolicy",
        ]
        Resource = [
          "arn:aws:s3tables:${local.region}:${local.account}:bucket/aws-s3",
          "arn:aws:s3tables:${local.region}:${local.account}:bucket/s3lm-*",
        ]
      },
      {
        Sid    = "S3tablesTable"
        Effect = "Allow"
        Action = [
          "s3tables:GetTable",
          "s3tables:PutTableEncryption",
          "s3tables:PutTablePolicy",
        ]
        Resource = [
          "arn:aws:s3tables:${local.region}:${local.account}:bucket/aws-s3/table/*",
          "arn:aws:s3tables:${local.region}:${local.account}:bucket/s3lm-*/table/*",
        ]
      },
      {
        Sid    = "NeverUndeletable"
        Effect = "Deny"
        Action = [
          "s3:PutObject",
          "s3:PutObjectRetention",
        ]
        Resource = "*"
        Condition = {
          StringEquals = {
            "s3:object-lock-mode" = "COMPLIANCE"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role" "run" {
  name                 = var.role_name
  max_session_duration = 43200
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect = "Allow"
        Principal = {
          Federated = var.provider_arn != "" ? var.provider_arn : aws_iam_openid_connect_provider.github[0].arn
        }
        Action = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
            "token.actions.githubusercontent.com:sub" = "repo:${var.repository}:ref:refs/heads/${var.branch}"
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "run1" {
  role       = aws_iam_role.run.name
  policy_arn = aws_iam_policy.run1.arn
}

output "role_arn" {
  description = "For role-to-assume"
  value       = aws_iam_role.run.arn
}
