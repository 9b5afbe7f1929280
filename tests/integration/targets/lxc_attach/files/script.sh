#!/bin/sh
echo "$2"
pwd
